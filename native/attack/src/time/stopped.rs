use super::SHORT;
use crate::attack::{Attack, Class, Verdict};
use crate::kernel::{fork, own_pid, pause_for_ever, signal};

pub const ATTACK: Attack = Attack {
    name: "stopped",
    tries: "stops itself and its children, so that no signal is handled and no exit comes",
    stands_for: "supervisors that wait for an end instead of making it",
    must: "WALL_TIMEOUT in time, and nothing is left",
    ends: &["WALL_TIMEOUT"],
    limits: SHORT,
    ..Attack::new(Class::Time, run)
};

fn run() -> Verdict {
    for _ in 0..3 {
        let _ = fork();
    }
    loop {
        let _ = signal(own_pid(), libc::SIGSTOP);
        if own_pid() == 0 {
            pause_for_ever();
        }
    }
}
