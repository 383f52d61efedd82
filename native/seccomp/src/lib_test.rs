use super::simulate::{ALLOWED, MISSING, expected, run};
use super::*;
use proptest::prelude::*;

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        (0u32..4).prop_map(Test::Equals),
        (0u32..16).prop_map(Test::NoneOf),
        (0u32..16).prop_map(Test::SomeOf),
    ]
}

/// Kept for good, as those of a real list are.
fn leaked<T: std::fmt::Debug + 'static>(
    strategy: impl Strategy<Value = T>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = &'static [T]> {
    prop::collection::vec(strategy, count).prop_map(|items| &*items.leak())
}

fn rule() -> impl Strategy<Value = Rule> {
    let condition = (0u32..6, test()).prop_map(|(argument, test)| Condition { argument, test });
    let when = leaked(leaked(condition, 1..3), 0..3);
    let verdict = prop_oneof![Just(Verdict::Allow), Just(Verdict::Deny), Just(Verdict::Absent)];
    (0u32..300, verdict, when).prop_map(|(number, verdict, when)| Rule {
        name: "",
        number,
        verdict,
        when,
    })
}

fn list() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 0..24).prop_map(|mut rules| {
        rules.sort_by_key(|rule| rule.number);
        rules.dedup_by_key(|rule| rule.number);
        rules
    })
}

proptest! {
    #[test]
    fn every_call_is_answered_as_listed(rules in list(), arguments in prop::array::uniform6(0u64..20)) {
        let filter = compile(&rules);
        for number in (0..302).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
            prop_assert_eq!(run(&filter, AUDIT_ARCH_X86_64, number, arguments), expected(&rules, number, arguments));
        }
    }
}

const READ: Rule = Rule {
    name: "read",
    number: 0,
    verdict: Verdict::Allow,
    when: &[],
};

#[test]
fn what_is_not_listed_is_missing() {
    let filter = compile(&[READ]);
    assert_eq!(
        [0, 1].map(|number| run(&filter, AUDIT_ARCH_X86_64, number, [0; 6])),
        [ALLOWED, MISSING]
    );
}

#[test]
fn other_architectures_are_killed() {
    const AUDIT_ARCH_I386: u32 = 0x4000_0003;
    assert_eq!(
        run(&compile(&[READ]), AUDIT_ARCH_I386, 0, [0; 6]),
        libc::SECCOMP_RET_KILL_PROCESS
    );
}

#[test]
fn what_denials_do_not_name_is_allowed() {
    let read = Rule {
        verdict: Verdict::Deny,
        ..READ
    };
    let filter = compile_denials(&[read]);
    assert_eq!(
        [0, 1].map(|number| run(&filter, AUDIT_ARCH_X86_64, number, [0; 6])),
        [libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, ALLOWED]
    );
}
