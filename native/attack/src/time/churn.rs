use super::SHORT;
use crate::attack::{Attack, Class, Limits, Verdict};
use crate::kernel::{fork, leave, pause_for_ever};

pub const ATTACK: Attack = Attack {
    name: "churn",
    tries: "is never the same process for long: each forks its successor and ends, faster than anybody can list them",
    stands_for: "kills that go through a list of processes, which is old when it is read",
    must: "a limit ends it in time, and nothing is left",
    // What is left of the dead is its memory too.
    ends: &["WALL_TIMEOUT", "CPU_TIMEOUT", "OOM_KILLED"],
    limits: Limits { pids: 64, ..SHORT },
    ..Attack::new(Class::Time, run)
};

fn run() -> Verdict {
    for _ in 0..4 {
        if fork() == Ok(0) {
            succeed_for_ever();
        }
    }
    pause_for_ever()
}

fn succeed_for_ever() -> ! {
    loop {
        match fork() {
            Ok(0) => {}
            // Without a free place among the processes it is its own successor.
            Err(_) => std::thread::yield_now(),
            Ok(_) => leave(0),
        }
    }
}
