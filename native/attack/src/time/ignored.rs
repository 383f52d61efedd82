use super::SHORT;
use crate::attack::{Attack, Class, Verdict};
use crate::kernel::{fork, ignore, pause_for_ever};

pub const ATTACK: Attack = Attack {
    name: "ignored-signals",
    tries: "ignores every signal that can be ignored, and sleeps on",
    stands_for: "CVE-2026-47213 (BoxLite: a timeout by a signal that can be caught)",
    must: "WALL_TIMEOUT in time, and nothing is left",
    ends: &["WALL_TIMEOUT"],
    limits: SHORT,
    ..Attack::new(Class::Time, run)
};

fn run() -> Verdict {
    for signal in 1..65 {
        ignore(signal);
    }
    let _ = fork();
    let _ = fork();
    pause_for_ever()
}
