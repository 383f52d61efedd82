use crate::attack::{Attack, Class, Limits, TIGHT, Tries, Verdict};
use crate::kernel::{call, fork, leave, wait_for};
use std::time::{Duration, Instant};

pub const ATTACK: Attack = Attack {
    name: "cpu",
    tries: "computes in many processes at once, with the highest priority it can get",
    stands_for: "workers that starve beside their payload, and lose the queue's lock",
    must: "no priority is given, its rate is the run's (a tenth of a processor), and a neighbour starts and ends in time",
    ends: &["CANCELLED", "CPU_TIMEOUT"],
    holds: true,
    limits: Limits {
        cpu_millis: 100,
        ..TIGHT
    },
    ..Attack::new(Class::Exhaustion, run)
};

const LONG: Duration = Duration::from_millis(2_000);

fn run() -> Verdict {
    let mut tries = Tries::default();
    let highest = libc::sched_param { sched_priority: 99 };
    for policy in [libc::SCHED_FIFO, libc::SCHED_RR, 6] {
        let answer = call(libc::SYS_sched_setscheduler, [0, policy.into(), &raw const highest as i64]);
        tries.refused(&format!("policy {policy}"), answer);
    }
    tries.refused("nice -20", call(libc::SYS_setpriority, [libc::PRIO_PROCESS.into(), 0, -20]));
    tries.refused("the highest priority of disks", call(libc::SYS_ioprio_set, [1, 0, 1 << 13]));
    let share = share_of_a_processor();
    // So little that also a busy machine would give more; and in a machine time that was stolen from it counts as its own.
    tries.check(&format!("it got {share:.2} processors"), share < 0.25);
    for _ in 0..16 {
        if fork() == Ok(0) {
            spin(Duration::MAX);
        }
    }
    tries.verdict()
}

fn share_of_a_processor() -> f64 {
    let began = Instant::now();
    let children: Vec<_> = (0..4).filter_map(|_| spinning()).collect();
    for child in children {
        let _ = wait_for(child);
    }
    let mut usage: libc::rusage = {
        // SAFETY: an all-zero rusage is valid.
        unsafe { std::mem::zeroed() }
    };
    // SAFETY: the structure is ours to write.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime) + seconds(usage.ru_stime)) / began.elapsed().as_secs_f64()
}

fn spinning() -> Option<i32> {
    let child = fork().ok()?;
    if child == 0 {
        spin(LONG);
        leave(0);
    }
    Some(child)
}

fn spin(long: Duration) {
    let began = Instant::now();
    while began.elapsed() < long {
        std::hint::spin_loop();
    }
}
