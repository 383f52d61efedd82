use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{fork, pause_for_ever};

pub const ATTACK: Attack = Attack {
    name: "forks",
    tries: "starts processes that stay, as many as it can",
    stands_for: "fork bombs; Judge0 1.13.0",
    must: "the limit of the run is reached, and a neighbour forks as before",
    ends: &["CANCELLED"],
    holds: true,
    ..Attack::new(Class::Exhaustion, run)
};

const MOST: usize = 300;

fn run() -> Verdict {
    let mut tries = Tries::default();
    let mut count = 0;
    while count < MOST {
        match fork() {
            Ok(0) => pause_for_ever(),
            Ok(_) => count += 1,
            Err(_) => break,
        }
    }
    tries.check(&format!("{count} processes under a limit of 32"), count < 32);
    tries.verdict()
}
