use crate::attack::{Attack, Class, Limits, TIGHT, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "message-queues",
    tries: "takes all that a user may have in POSIX and System V message queues",
    stands_for: "RLIMIT_MSGQUEUE, which user namespaces of one owner share",
    must: "a neighbour makes its own all the same",
    ends: &["CANCELLED"],
    holds: true,
    limits: Limits {
        open_files: 1024,
        ..TIGHT
    },
    ..Attack::new(Class::Exhaustion, run)
};

fn run() -> Verdict {
    let mut count = 0;
    while count < 400 {
        let name = text(&format!("hoard-{count}"));
        let flags = i64::from(libc::O_CREAT | libc::O_RDWR);
        if call(libc::SYS_mq_open, [address(&name), flags, 0o600, 0]).is_err() {
            break;
        }
        count += 1;
    }
    let system_v = (0..400).take_while(|_| call(libc::SYS_msgget, [0, 0o600]).is_ok()).count();
    Verdict::Held(format!("{count} and {system_v} queues"))
}
