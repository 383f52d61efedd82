use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, read_text};

pub const ATTACK: Attack = Attack {
    name: "descriptors",
    tries: "uses descriptors that its starter forgot to close",
    stands_for: "CVE-2024-21626 (runc, a leaked folder of the host), CVE-2016-9962",
    must: "there are three: /dev/null or pipes of its own",
    ..Attack::new(Class::Host, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for fd in 0..4096 {
        if call(libc::SYS_fcntl, [fd, libc::F_GETFD.into()]).is_err() {
            continue;
        }
        let leads_to = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let leads_to = leads_to.to_string_lossy();
        let own = fd <= 2 && (leads_to.starts_with("pipe:") || leads_to == "/dev/null");
        tries.check(&format!("descriptor {fd} leads to {leads_to}"), own);
        let outside = call(libc::SYS_fchdir, [fd]);
        tries.refused(&format!("fchdir to descriptor {fd}"), outside);
    }
    // A pipe's far end must not be reachable either: it is the agent's.
    let status = read_text("/proc/self/fdinfo/1");
    tries.check("standard output can be read", !status.contains("flags:\t02"));
    tries.verdict()
}
