use super::FILTER;
use caisson_seccomp::simulate::{self, check_says_what_is_listed};
use caisson_seccomp::{ABSENT, ALLOW, DENY, Rule};

const RULES: &[Rule] = caisson_seccomp::rules!();

fn ask(name: &str, arguments: [u64; 6]) -> u32 {
    simulate::ask(RULES, name, arguments)
}

#[test]
fn the_filter_fits_the_kernel_many_times_over() {
    let length = FILTER.len();
    assert!(length < 512, "{length} of the 4096 instructions that a filter may have");
}

#[test]
fn it_says_what_is_listed() {
    check_says_what_is_listed(RULES, FILTER);
}

#[test]
fn ways_out_are_closed() {
    for name in [
        "mount",
        "umount2",
        "move_mount",
        "open_tree",
        "fsopen",
        "mount_setattr",
        "pivot_root",
        "chroot",
        "unshare",
        "setns",
    ] {
        assert_eq!(ask(name, [0; 6]), DENY, "{name}");
    }
    for name in [
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "keyctl",
        "add_key",
        "kexec_load",
        "init_module",
    ] {
        assert_eq!(ask(name, [0; 6]), DENY, "{name}");
    }
    assert_eq!(ask("clone3", [0; 6]), ABSENT);
}

#[test]
fn arguments_that_matter() {
    assert_eq!(ask("clone", [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]), ALLOW);
    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
    ];
    for flag in namespaces
        .into_iter()
        .chain([libc::CLONE_NEWUTS, libc::CLONE_NEWCGROUP, 0x80])
    {
        assert_eq!(
            ask("clone", [flag as u32 as u64 | libc::SIGCHLD as u64, 0, 0, 0, 0, 0]),
            DENY,
            "{flag:#x}"
        );
    }
    for (family, protocol, answer) in [
        (libc::AF_UNIX, 0, ALLOW),
        (libc::AF_INET, 6, ALLOW),
        (libc::AF_INET6, 0, ALLOW),
        (libc::AF_NETLINK, libc::NETLINK_ROUTE, ALLOW),
        (libc::AF_NETLINK, libc::NETLINK_AUDIT, DENY),
        (libc::AF_ALG, 0, DENY),
        (libc::AF_PACKET, 0, DENY),
        (libc::AF_VSOCK, 0, DENY),
    ] {
        assert_eq!(
            ask("socket", [family as u64, 1, protocol as u64, 0, 0, 0]),
            answer,
            "family {family}"
        );
    }
    assert_eq!(ask("personality", [u64::from(u32::MAX), 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(ask("personality", [0x0040_0000, 0, 0, 0, 0, 0]), DENY, "READ_IMPLIES_EXEC");
}
