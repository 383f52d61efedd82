//! The list that a VMM is held to (`vmm.seccomp.json`), from before its first instruction on.
use caisson_seccomp::{Filter, Rule, compile};
use std::sync::LazyLock;

const RULES: &[Rule] = caisson_seccomp::rules!();

/// Of the list's file.
pub const LIST: [u8; 32] = caisson_seccomp::digest!();

pub static FILTER: LazyLock<Filter> = LazyLock::new(|| compile(RULES));

#[cfg(test)]
mod tests {
    use super::{FILTER, RULES};
    use caisson_seccomp::simulate::{ask, check_says_what_is_listed};
    use caisson_seccomp::{ALLOW, DENY};

    #[test]
    fn it_says_what_is_listed() {
        check_says_what_is_listed(RULES, &FILTER);
    }

    #[test]
    fn arguments_that_matter() {
        for (name, arguments, answer) in [
            ("clone", [0x3d_0f00, 0, 0, 0, 0, 0], ALLOW),
            ("clone", [libc::SIGCHLD as u64, 0, 0, 0, 0, 0], DENY),
            ("execveat", [3, 0, 0, 0, libc::AT_EMPTY_PATH as u64, 0], ALLOW),
            ("execveat", [libc::AT_FDCWD as u32 as u64, 0, 0, 0, 0, 0], DENY),
            ("prctl", [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0], ALLOW),
            ("prctl", [libc::PR_SET_DUMPABLE as u64, 1, 0, 0, 0, 0], DENY),
            ("prlimit64", [0, 7, 0, 1 << 16, 0, 0], ALLOW),
            ("prlimit64", [0, 7, 1 << 16, 0, 0, 0], DENY),
            ("prlimit64", [1, 7, 0, 1 << 16, 0, 0], DENY),
        ] {
            assert_eq!(ask(RULES, name, arguments), answer, "{name} {arguments:?}");
        }
    }

    #[test]
    fn of_all_device_requests_only_those_of_kvm() {
        for request in (0xad00..0xb000u16).chain((0..=0xff).map(|kind| kind << 8)) {
            let wanted = if request >> 8 == 0xae { ALLOW } else { DENY };
            let arguments = [3, 0x4010_0000 | u64::from(request), 0, 0, 0, 0];
            assert_eq!(ask(RULES, "ioctl", arguments), wanted, "{request:#x}");
        }
    }
}
