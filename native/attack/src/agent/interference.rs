use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, signal};

pub const ATTACK: Attack = Attack {
    name: "interference",
    tries: "kills, stops, slows down and limits the process that started it",
    stands_for: "payloads that end or freeze their supervisor to outlive it",
    must: "no signal arrives, no limit, priority or processor of it changes",
    ..Attack::new(Class::Agent, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for number in [
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTERM,
        libc::SIGKILL,
        libc::SIGSEGV,
        libc::SIGABRT,
    ] {
        // The kernel takes them for the first process of a namespace, and drops them: what counts is that this program goes on.
        let _ = signal(1, number);
        let _ = call(libc::SYS_tgkill, [1, 1, number.into()]);
    }
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    for limit in [libc::RLIMIT_NOFILE, libc::RLIMIT_CPU, libc::RLIMIT_AS] {
        let answer = call(libc::SYS_prlimit64, [1, limit.into(), &raw const none as i64, 0]);
        tries.refused(&format!("prlimit {limit} of process 1"), answer);
    }
    let first = 1_u64;
    tries.refused(
        "sched_setaffinity of process 1",
        call(libc::SYS_sched_setaffinity, [1, 8, &raw const first as i64]),
    );
    tries.refused(
        "setpriority of process 1",
        call(libc::SYS_setpriority, [libc::PRIO_PROCESS.into(), 1, 19]),
    );
    let idle = libc::sched_param { sched_priority: 0 };
    let scheduler = call(
        libc::SYS_sched_setscheduler,
        [1, libc::SCHED_IDLE.into(), &raw const idle as i64],
    );
    tries.refused("sched_setscheduler of process 1", scheduler);
    tries.refused("ioprio_set of process 1", call(libc::SYS_ioprio_set, [1, 1, 3 << 13]));
    tries.refused("move_pages of process 1", call(libc::SYS_move_pages, [1]));
    tries.refused("setpgid of process 1", call(libc::SYS_setpgid, [1, 1]));
    // Everybody else that it can name is its own.
    let _ = signal(-1, libc::SIGCONT);
    tries.verdict()
}
