use crate::attack::{Attack, Class, Limits, TIGHT, Verdict};
use crate::kernel::{call, own_pid};

pub const ATTACK: Attack = Attack {
    name: "pending-signals",
    tries: "leaves signals pending, as many as a user may, and makes timers, which need one each",
    stands_for: "RLIMIT_SIGPENDING, which user namespaces of one owner share",
    must: "a neighbour's signals and timers work all the same",
    ends: &["CANCELLED", "OOM_KILLED"],
    holds: true,
    limits: Limits { memory_mib: 64, ..TIGHT },
    ..Attack::new(Class::Exhaustion, run)
};

const MOST: usize = 200_000;

fn run() -> Verdict {
    let number = i64::from(libc::SIGRTMIN() + 5);
    let blocked = u64::MAX;
    let _ = call(
        libc::SYS_rt_sigprocmask,
        [libc::SIG_BLOCK.into(), &raw const blocked as i64, 0, 8],
    );
    // si_signo, si_errno, si_code: SI_QUEUE.
    let mut information = [0_i32; 32];
    information[0] = number as i32;
    information[2] = -1;
    let at = information.as_ptr() as i64;
    let queued = (0..MOST)
        .take_while(|_| call(libc::SYS_rt_sigqueueinfo, [own_pid().into(), number, at]).is_ok())
        .count();
    Verdict::Held(format!("{queued} signals"))
}
