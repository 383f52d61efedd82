use crate::attack::{Attack, Class, Limits, TIGHT, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "dentries",
    tries: "asks for names that do not exist, each of which the kernel remembers",
    stands_for: "negative dentries that fill a host's memory",
    must: "they are the run's memory: it goes on, or is OOM_KILLED",
    ends: &["EXITED", "OOM_KILLED"],
    limits: Limits { memory_mib: 16, ..TIGHT },
    ..Attack::new(Class::Exhaustion, run)
};

/// Of 192 bytes and more each: more than twice the memory of the run.
const MOST: usize = 200_000;

fn run() -> Verdict {
    for index in 0..MOST {
        let path = text(&format!("/tmp/no-such-name-{index}"));
        let _ = call(libc::SYS_access, [address(&path), 0]);
    }
    Verdict::Held(format!("{MOST} names"))
}
