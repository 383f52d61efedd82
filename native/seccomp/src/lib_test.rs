use super::simulate::{check_says_what_is_listed, expected, run};
use super::*;
use proptest::prelude::*;

/// Small ones meet each other, large ones have a high word.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..8,
        (0u64..3, 0u64..3).prop_map(|(high, low)| high << 32 | low),
        any::<u64>()
    ]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        (value(), value()).prop_map(|(mask, value)| Test::Masked { mask, value }),
        (value(), any::<bool>()).prop_map(|(value, whole)| Test::Masked {
            mask: if whole { u64::MAX } else { 0xffff_ffff },
            value
        }),
        value().prop_map(Test::AtLeast),
        value().prop_map(Test::Above),
    ]
}

fn alternative() -> impl Strategy<Value = Alternative> {
    let condition = (0u32..6, test(), any::<bool>());
    let conditions = prop::collection::vec(
        condition.prop_map(|(argument, test, holds)| Condition { argument, test, holds }),
        0..7,
    );
    (conditions, answer()).prop_map(|(conditions, answer)| Alternative { conditions, answer })
}

fn answer() -> impl Strategy<Value = Answer> {
    prop::sample::select(vec![ALLOW, DENY, ABSENT, KILL])
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (0u32..300, prop::collection::vec(alternative(), 0..4), answer());
    let call = call.prop_map(|(number, alternatives, otherwise)| Call {
        number,
        alternatives,
        otherwise,
    });
    prop::collection::vec(call, 0..60).prop_map(|mut calls| {
        calls.sort_by_key(|call| call.number);
        calls.dedup_by_key(|call| call.number);
        calls
    })
}

proptest! {
    #[test]
    fn every_call_is_answered_as_it_says(calls in calls(), otherwise in answer(), arguments in prop::array::uniform6(value())) {
        // A filter that is too long is refused; up to there it is right, however far its branches go.
        if let Ok(filter) = program(calls.clone(), otherwise) {
            for number in (0..302).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
                let wanted = expected(&calls, otherwise, number, arguments);
                prop_assert_eq!(run(&filter, AUDIT_ARCH_X86_64, number, arguments), wanted);
            }
        }
    }
}

#[test]
fn a_filter_that_the_kernel_would_not_take_is_refused() {
    let condition = Condition {
        argument: 0,
        test: Test::AtLeast(1 << 40),
        holds: true,
    };
    let alternative = Alternative {
        conditions: vec![condition; 6],
        answer: ALLOW,
    };
    let call = |number| Call {
        number,
        alternatives: vec![alternative.clone(); 4],
        otherwise: DENY,
    };
    assert!(program((0..30).map(call).collect(), DENY).is_ok());
    assert!(program((0..40).map(call).collect(), DENY).is_err());
}

const READ: Rule = Rule {
    name: "read",
    number: 0,
    verdict: Verdict::Allow,
    when: &[],
};

#[test]
fn what_is_not_listed_is_missing_and_other_ways_in_are_closed() {
    check_says_what_is_listed(&[READ], &compile(&[READ]));
}

#[test]
#[should_panic(expected = "call 1 with")]
fn a_filter_that_allows_more_is_noticed() {
    let more = Rule { number: 1, ..READ };
    check_says_what_is_listed(&[READ], &compile(&[READ, more]));
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
        [libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, ALLOW]
    );
}
