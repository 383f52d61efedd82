use super::*;
use proptest::prelude::*;

/// What the kernel would answer: an interpreter of the few instructions that the compiler uses.
fn run(filter: &Filter, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let load = |offset: u32| match offset {
        NUMBER => number,
        ARCHITECTURE => architecture,
        other => arguments[((other - ARGUMENTS) / 8) as usize] as u32,
    };
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let step = &filter[at];
        let holds = match u32::from(step.code) {
            LOAD => {
                accumulator = load(step.k);
                at += 1;
                continue;
            }
            RETURN => return step.k,
            IF_EQUAL => accumulator == step.k,
            IF_AT_LEAST => accumulator >= step.k,
            IF_ANY_BIT => accumulator & step.k != 0,
            other => panic!("unknown instruction {other}"),
        };
        at += 1 + usize::from(if holds { step.jt } else { step.jf });
    }
}

/// The same decision, as the list says it.
fn expected(number: u32, arguments: [u64; 6]) -> u32 {
    let Some(rule) = RULES.iter().find(|rule| rule.number == number) else {
        return ABSENT.k;
    };
    let holds = |condition: &Condition| {
        let value = arguments[condition.argument as usize] as u32;
        match condition.test {
            Test::Equals(wanted) => value == wanted,
            Test::NoneOf(bits) => value & bits == 0,
        }
    };
    if !rule.when.is_empty() && !rule.when.iter().any(|all| all.iter().all(holds)) {
        return DENY.k;
    }
    match rule.verdict {
        Verdict::Allow => ALLOW.k,
        Verdict::Deny => DENY.k,
        Verdict::Absent => ABSENT.k,
    }
}

fn ask(name: &str, arguments: [u64; 6]) -> u32 {
    let number = RULES
        .iter()
        .find(|rule| rule.name == name)
        .unwrap_or_else(|| panic!("{name} is not listed"))
        .number;
    run(&compile(RULES), AUDIT_ARCH_X86_64, number, arguments)
}

#[test]
fn every_number_is_answered_as_listed() {
    let filter = compile(RULES);
    for number in (0..2000).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
        assert_eq!(
            run(&filter, AUDIT_ARCH_X86_64, number, [0; 6]),
            expected(number, [0; 6]),
            "call {number}"
        );
    }
}

proptest! {
    #[test]
    fn arguments_are_judged_as_listed(
        rule in any::<prop::sample::Index>(),
        small in prop::array::uniform6(0u64..20),
        large in any::<[u64; 6]>(),
    ) {
        let number = RULES[rule.index(RULES.len())].number;
        let filter = compile(RULES);
        for arguments in [small, large] {
            prop_assert_eq!(run(&filter, AUDIT_ARCH_X86_64, number, arguments), expected(number, arguments));
        }
    }
}

#[test]
fn no_call_is_listed_twice() {
    let mut numbers: Vec<u32> = RULES.iter().map(|rule| rule.number).collect();
    numbers.sort_unstable();
    assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn the_filter_fits_the_kernel_many_times_over() {
    let length = compile(RULES).len();
    assert!(length < 512, "{length} of the 4096 instructions that a filter may have");
}

#[test]
fn other_architectures_are_killed() {
    const AUDIT_ARCH_I386: u32 = 0x4000_0003;
    assert_eq!(
        run(&compile(RULES), AUDIT_ARCH_I386, 0, [0; 6]),
        libc::SECCOMP_RET_KILL_PROCESS
    );
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
        assert_eq!(ask(name, [0; 6]), DENY.k, "{name}");
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
        assert_eq!(ask(name, [0; 6]), DENY.k, "{name}");
    }
    assert_eq!(ask("clone3", [0; 6]), ABSENT.k);
}

#[test]
fn arguments_that_matter() {
    assert_eq!(ask("clone", [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]), ALLOW.k);
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
            DENY.k,
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
            answer.k,
            "family {family}"
        );
    }
    assert_eq!(ask("personality", [u64::from(u32::MAX), 0, 0, 0, 0, 0]), ALLOW.k);
    assert_eq!(ask("personality", [0x0040_0000, 0, 0, 0, 0, 0]), DENY.k, "READ_IMPLIES_EXEC");
}
