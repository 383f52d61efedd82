use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, fork};

pub const ATTACK: Attack = Attack {
    name: "cpu",
    tries: "computes in many processes at once, with the highest priority it can get",
    stands_for: "workers that starve beside their payload, and lose the queue's lock",
    must: "no priority is given, its rate is the run's, and a neighbour starts and ends in time",
    ends: &["CANCELLED", "CPU_TIMEOUT"],
    holds: true,
    ..Attack::new(Class::Exhaustion, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let highest = libc::sched_param { sched_priority: 99 };
    for policy in [libc::SCHED_FIFO, libc::SCHED_RR, 6] {
        let answer = call(libc::SYS_sched_setscheduler, [0, policy.into(), &raw const highest as i64]);
        tries.refused(&format!("policy {policy}"), answer);
    }
    tries.refused("nice -20", call(libc::SYS_setpriority, [libc::PRIO_PROCESS.into(), 0, -20]));
    tries.refused("the highest priority of disks", call(libc::SYS_ioprio_set, [1, 0, 1 << 13]));
    for _ in 0..16 {
        if fork() == Ok(0) {
            loop {
                std::hint::spin_loop();
            }
        }
    }
    tries.verdict()
}
