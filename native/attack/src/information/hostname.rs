use crate::attack::{Attack, Class, Tries, Verdict};
use crate::hints;
use crate::kernel::read_text;

pub const ATTACK: Attack = Attack {
    name: "hostname",
    tries: "asks for the host's name and domain, and how long it runs",
    stands_for: "fingerprints of a host, by which sandboxes find out that they are neighbours",
    must: "name and clocks are the sandbox's own",
    ..Attack::new(Class::Information, run)
};

/// A sandbox is made ahead, and waits a while; a host's uptime is more than that, or the answer means nothing.
const YOUNG_SECONDS: f64 = 3600.0;

fn run() -> Verdict {
    let mut tries = Tries::default();
    let host = hints::host_name();
    for file in ["/proc/sys/kernel/hostname", "/etc/hostname"] {
        tries.check(
            &format!("{file} has the host's name"),
            read_text(file).trim() != host || host.is_empty(),
        );
    }
    let domain = read_text("/proc/sys/kernel/domainname");
    tries.check(
        &format!("the domain is {}", domain.trim()),
        ["(none)", ""].contains(&domain.trim()),
    );
    let own = hints::host_uptime();
    let uptime: f64 = read_text("/proc/uptime")
        .split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or_default();
    tries.check(
        "its uptime is the host's",
        own < YOUNG_SECONDS.min(60.0) || (uptime - own).abs() > 30.0,
    );
    tries.verdict()
}
