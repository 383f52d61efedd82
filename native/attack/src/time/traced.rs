use super::SHORT;
use crate::attack::{Attack, Class, Verdict};
use crate::kernel::{call, fork, ignore, pause_for_ever, sleep_ms};

pub const ATTACK: Attack = Attack {
    name: "traced",
    tries: "has its processes trace each other, so that each stops when it is about to die, and waits for its tracer",
    stands_for: "PTRACE_EVENT_EXIT, which has kept killed processes alive",
    must: "WALL_TIMEOUT in time, and nothing is left",
    ends: &["WALL_TIMEOUT"],
    limits: SHORT,
    ..Attack::new(Class::Time, run)
};

fn run() -> Verdict {
    ignore(libc::SIGCHLD);
    let mut children = Vec::new();
    for _ in 0..4 {
        match fork() {
            Ok(0) => pause_for_ever(),
            Ok(child) => children.push(i64::from(child)),
            Err(_) => {}
        }
    }
    for &child in &children {
        let all_events = libc::PTRACE_O_TRACEEXIT | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEEXEC;
        let _ = call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), child, 0, all_events.into()]);
    }
    loop {
        for &child in &children {
            let _ = call(libc::SYS_ptrace, [libc::PTRACE_INTERRUPT.into(), child, 0, 0]);
        }
        sleep_ms(10);
    }
}
