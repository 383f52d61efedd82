//! What a client takes away from its program by a filter of its own, and what an operator lets it have.
use crate::sandbox::{Sandbox, exec, sh};
use caisson_frame::agent::{Action, Answer, Exec, Filter, FilterRule, exited::End, failed::Step};

fn answer(action: Action, errno: u32) -> Option<Answer> {
    let action = action.into();
    Some(Answer { action, errno })
}

fn rule(calls: &[i64], answer: Option<Answer>) -> FilterRule {
    FilterRule {
        calls: calls.iter().map(|call| *call as u32).collect(),
        answer,
        conditions: vec![],
    }
}

fn narrowed(request: Exec, otherwise: Option<Answer>, rules: Vec<FilterRule>) -> Exec {
    Exec {
        filter: Some(Filter { otherwise, rules }),
        ..request
    }
}

#[test]
fn a_filter_takes_away_and_gives_nothing() {
    let rules = vec![
        rule(
            &[libc::SYS_mkdir, libc::SYS_mkdirat],
            answer(Action::Errno, libc::EDQUOT as u32),
        ),
        rule(&[libc::SYS_symlink, libc::SYS_symlinkat], answer(Action::KillProcess, 0)),
        rule(&[libc::SYS_unshare, libc::SYS_mount], answer(Action::Allow, 0)),
    ];
    let script =
        sh("mkdir /d; ln -s a /b; echo $?; unshare -U true; mount -t tmpfs none /tmp; grep Seccomp_filters /proc/self/status");
    let outcome = Sandbox::new().run(narrowed(script, answer(Action::Allow, 0), rules));
    assert_eq!(outcome.out(), "159\nSeccomp_filters:\t2\n", "{}", outcome.err());
    assert!(outcome.err().contains("quota exceeded"), "{}", outcome.err());
    assert_eq!(
        outcome.err().matches("not permitted").count(),
        1,
        "unshare: {}",
        outcome.err()
    );
}

#[test]
fn a_start_that_fails_behind_a_filter_that_lets_it_say_nothing_is_the_programs_end() {
    let rules = vec![rule(&[libc::SYS_execve, libc::SYS_exit_group], answer(Action::Allow, 0))];
    let request = narrowed(exec(&["/etc/passwd"]), answer(Action::Errno, 1), rules);
    assert_eq!(Sandbox::new().run(request).end(), End::ExitCode(127));
}

#[test]
fn a_filter_that_is_none_starts_nothing() {
    let failed = Sandbox::new().start(narrowed(sh("true"), None, vec![])).unwrap_err();
    assert_eq!(
        (failed.step(), failed.message.as_str()),
        (Step::Request, "filter: an answer is missing")
    );
}

const SETS: &str = "grep ^Cap /proc/self/status | cut -f 2";

fn sets(bits: u64) -> String {
    format!("{bits:016x}\n").repeat(5)
}

#[test]
fn granted_capabilities_are_in_all_five_sets_whoever_the_user_is() {
    for user in ["0", "1000:1000"] {
        let request = Exec {
            capabilities: vec![10, 5],
            user: user.into(),
            ..sh(SETS)
        };
        assert_eq!(Sandbox::new().run(request).out(), sets(1 << 10 | 1 << 5), "{user}");
    }
    assert_eq!(Sandbox::new().sh(SETS).out(), sets(0));
}

#[test]
fn what_counts_beyond_the_sandbox_is_never_given() {
    for number in [8, 12, 21, 63, 64, u32::MAX] {
        let request = Exec {
            capabilities: vec![number],
            ..sh("true")
        };
        let failed = Sandbox::new().start(request).unwrap_err();
        assert_eq!(failed.step(), Step::Request, "{}", failed.message);
        assert_eq!(failed.message, format!("capabilities: {number} cannot be granted"));
    }
}

#[test]
fn who_gives_up_uid_0_gives_up_what_was_granted() {
    let script = format!("setpriv --reuid 1000 --clear-groups sh -c '{SETS}' 2>&1 || true");
    let request = Exec {
        capabilities: vec![6, 7],
        ..sh(&script)
    };
    let outcome = Sandbox::new().run(request);
    let held: Vec<&str> = outcome.out().lines().collect();
    // Inheritable and bounding sets give nothing by themselves.
    if held.len() == 5 {
        assert_eq!([held[1], held[2], held[4]], ["0000000000000000"; 3], "{}", outcome.out());
    }
}
