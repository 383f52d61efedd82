use super::SHORT;
use crate::attack::{Attack, Class, Verdict};
use crate::kernel::{call, leave, pause_for_ever};

pub const ATTACK: Attack = Attack {
    name: "vfork",
    tries: "waits for a child of vfork that never executes anything, again and again, so that its parent handles no signal",
    stands_for: "parents that wait unkillably for their vfork (before Linux 2.6.33, and with frozen children since)",
    must: "WALL_TIMEOUT in time, and nothing is left",
    ends: &["WALL_TIMEOUT"],
    limits: SHORT,
    ..Attack::new(Class::Time, run)
};

fn run() -> Verdict {
    for depth in 0..8 {
        // With a memory of its own: the parent waits all the same.
        match call(libc::SYS_clone, [i64::from(libc::CLONE_VFORK | libc::SIGCHLD)]) {
            Ok(0) if depth < 7 => {}
            Ok(0) => pause_for_ever(),
            _ => leave(1),
        }
    }
    pause_for_ever()
}
