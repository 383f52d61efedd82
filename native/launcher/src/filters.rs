//! What the launcher takes from itself and from control and worker, as reviewed lists of denials; and what Redis may, as one of all it needs.
use caisson_seccomp::{Filter, Rule, compile, compile_denials};

const LAUNCHER: &[Rule] = caisson_seccomp::rules!("launcher");
const SERVICE: &[Rule] = caisson_seccomp::rules!("service");
const REDIS: &[Rule] = caisson_seccomp::rules!("redis");

/// Every child has it too, below the list of its own.
pub fn launcher() -> Filter {
    compile_denials(LAUNCHER)
}

/// Which list a service is held to.
#[derive(Clone, Copy)]
pub enum Calls {
    /// Control and worker: Node needs too much for a list of it.
    Service,
    Redis,
}

impl Calls {
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "service" => Ok(Self::Service),
            "redis" => Ok(Self::Redis),
            _ => Err(format!("--calls {name:?}: service or redis")),
        }
    }

    pub fn filter(self) -> Filter {
        match self {
            Self::Service => compile_denials(SERVICE),
            Self::Redis => compile(REDIS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Calls, LAUNCHER, REDIS, Rule, SERVICE};
    use caisson_seccomp::simulate::{ask, check_says_what_is_listed};
    use caisson_seccomp::{ALLOW, DENY, Verdict};
    use serde_json::Value;

    fn taken(rules: &'static [Rule]) -> impl Iterator<Item = &'static str> {
        rules
            .iter()
            .filter(|rule| rule.verdict != Verdict::Allow)
            .map(|rule| rule.name)
    }

    /// A program would be refused what its own list, its receipt and the documentation say that it may do.
    #[test]
    fn the_launcher_takes_nothing_that_its_children_are_allowed() {
        for list in [
            include_str!("../../../guest/agent/seccomp.json"),
            include_str!("../vmm.seccomp.json"),
        ] {
            let list: Value = serde_json::from_str(list).expect("JSON");
            let allowed: Vec<&str> = list["allow"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(|entry| entry["name"].as_str())
                .collect();
            let both: Vec<&str> = taken(LAUNCHER).filter(|name| allowed.contains(name)).collect();
            assert!(both.is_empty(), "{both:?}");
        }
    }

    #[test]
    fn a_service_has_no_more_than_the_launcher() {
        for name in taken(LAUNCHER) {
            assert!(taken(SERVICE).any(|other| other == name), "{name}");
        }
    }

    #[test]
    fn redis_has_no_more_than_a_service() {
        let allowed = || {
            REDIS
                .iter()
                .filter(|rule| rule.verdict == Verdict::Allow)
                .map(|rule| rule.name)
        };
        let both: Vec<&str> = taken(SERVICE).filter(|name| allowed().any(|other| other == *name)).collect();
        assert!(both.is_empty(), "{both:?}");
    }

    #[test]
    fn the_filter_of_redis_says_what_is_listed() {
        check_says_what_is_listed(REDIS, &Calls::Redis.filter());
    }

    #[test]
    fn arguments_that_matter_to_redis() {
        let (own, open_files, file_size) = (0, u64::from(libc::RLIMIT_NOFILE), u64::from(libc::RLIMIT_FSIZE));
        for (name, arguments, answer) in [
            ("clone", [libc::SIGCHLD as u64, 0, 0, 0, 0, 0], ALLOW),
            ("clone", [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0], DENY),
            ("socket", [libc::AF_UNIX as u64, 1, 0, 0, 0, 0], ALLOW),
            ("socket", [libc::AF_INET as u64, 1, 0, 0, 0, 0], DENY),
            ("socket", [libc::AF_NETLINK as u64, 3, 0, 0, 0, 0], DENY),
            ("ioctl", [1, libc::TCGETS, 0, 0, 0, 0], ALLOW),
            ("ioctl", [1, libc::TIOCSTI, 0, 0, 0, 0], DENY),
            ("prctl", [libc::PR_SET_THP_DISABLE as u64, 1, 0, 0, 0, 0], ALLOW),
            ("prctl", [libc::PR_SET_DUMPABLE as u64, 1, 0, 0, 0, 0], DENY),
            ("prlimit64", [own, open_files, 1 << 16, 0, 0, 0], ALLOW),
            ("prlimit64", [own, file_size, 0, 1 << 16, 0, 0], ALLOW),
            ("prlimit64", [own, file_size, 1 << 16, 0, 0, 0], DENY),
            ("prlimit64", [1, open_files, 0, 1 << 16, 0, 0], DENY),
        ] {
            assert_eq!(ask(REDIS, name, arguments), answer, "{name} {arguments:?}");
        }
    }
}
