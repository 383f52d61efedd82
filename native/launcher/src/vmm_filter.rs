//! The list that a VMM is held to (`vmm.seccomp.json`), from before its first instruction on.
use caisson_seccomp::{Filter, Rule, compile};
use std::sync::LazyLock;

const RULES: &[Rule] = caisson_seccomp::rules!();

pub static FILTER: LazyLock<Filter> = LazyLock::new(|| compile(RULES));

#[cfg(test)]
mod tests {
    use super::RULES;
    use caisson_seccomp::simulate::{ALLOWED, DENIED, ask};

    #[test]
    fn arguments_that_matter() {
        for (name, arguments, answer) in [
            ("clone", [0x3d_0f00, 0, 0, 0, 0, 0], ALLOWED),
            ("clone", [libc::SIGCHLD as u64, 0, 0, 0, 0, 0], DENIED),
            ("execveat", [3, 0, 0, 0, libc::AT_EMPTY_PATH as u64, 0], ALLOWED),
            ("execveat", [libc::AT_FDCWD as u32 as u64, 0, 0, 0, 0, 0], DENIED),
            ("prctl", [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0], ALLOWED),
            ("prctl", [libc::PR_SET_DUMPABLE as u64, 1, 0, 0, 0, 0], DENIED),
            ("prlimit64", [0, 7, 0, 1 << 16, 0, 0], ALLOWED),
            ("prlimit64", [0, 7, 1 << 16, 0, 0, 0], DENIED),
            ("prlimit64", [1, 7, 0, 1 << 16, 0, 0], DENIED),
        ] {
            assert_eq!(ask(RULES, name, arguments), answer, "{name} {arguments:?}");
        }
    }

    #[test]
    fn of_all_device_requests_only_those_of_kvm() {
        for request in (0xad00..0xb000u16).chain((0..=0xff).map(|kind| kind << 8)) {
            let wanted = if request >> 8 == 0xae { ALLOWED } else { DENIED };
            let arguments = [3, 0x4010_0000 | u64::from(request), 0, 0, 0, 0];
            assert_eq!(ask(RULES, "ioctl", arguments), wanted, "{request:#x}");
        }
    }
}
