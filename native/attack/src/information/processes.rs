use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, listed_pids, own_pid};

pub const ATTACK: Attack = Attack {
    name: "processes",
    tries: "lists and probes processes of the host and of other sandboxes",
    stands_for: "CVE-2015-1335 class of shared pid namespaces; arguments of others, which hold secrets",
    must: "it finds itself, and no other process answers",
    ..Attack::new(Class::Information, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for pid in listed_pids().into_iter().filter(|&pid| pid != own_pid()) {
        tries.check(&format!("process {pid} is listed"), false);
    }
    // The first of its namespace is there by number: it takes no signal and tells nothing.
    for pid in (2..40_000).filter(|&pid| pid != own_pid()) {
        let answers = call(libc::SYS_kill, [pid.into(), 0]) != Err(libc::ESRCH);
        if answers || pid < 100 {
            tries.check(&format!("process {pid} answers"), !answers);
        }
    }
    tries.verdict()
}
