use crate::attack::{Attack, Class, Limits, TIGHT, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "inotify",
    tries: "takes every inotify instance and watch, of which a user has few",
    stands_for: "containers of one uid that leave none to the others or to the host (max_user_instances, 128)",
    must: "a neighbour gets its own all the same",
    ends: &["CANCELLED"],
    holds: true,
    limits: Limits {
        open_files: 1024,
        ..TIGHT
    },
    ..Attack::new(Class::Exhaustion, run)
};

fn run() -> Verdict {
    let root = text("/");
    let mut instances = 0;
    while instances < 900 {
        let Ok(instance) = call(libc::SYS_inotify_init1, [0]) else {
            break;
        };
        let _ = call(libc::SYS_inotify_add_watch, [instance, address(&root), 2]);
        instances += 1;
    }
    Verdict::Held(format!("{instances} instances"))
}
