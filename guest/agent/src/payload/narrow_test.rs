use super::*;
use caisson_frame::agent::FilterRule;
use caisson_seccomp::simulate::run;
use proptest::prelude::*;

const X86_64: u32 = 0xc000_003e;

fn said(action: Action, errno: u32) -> Option<agent::Answer> {
    let action = action.into();
    Some(agent::Answer { action, errno })
}

fn rule(call: u32, answer: Option<agent::Answer>, conditions: &[agent::Condition]) -> FilterRule {
    FilterRule {
        calls: vec![call],
        answer,
        conditions: conditions.to_vec(),
    }
}

fn when(argument: u32, comparison: Comparison, value: u64) -> agent::Condition {
    agent::Condition {
        argument,
        comparison: comparison.into(),
        value,
        mask: 0,
    }
}

fn ask(rules: Vec<FilterRule>, number: u32, argument: u64) -> Answer {
    let otherwise = said(Action::Errno, 1);
    let filter = compile(&agent::Filter { otherwise, rules }).expect("a filter");
    run(&filter, X86_64, number, [argument, 0, 0, 0, 0, 0])
}

#[test]
fn comparisons_are_of_all_bits() {
    let bound = 5 << 32 | 5;
    for (comparison, holding) in [
        (Comparison::Equal, [false, true, false]),
        (Comparison::NotEqual, [true, false, true]),
        (Comparison::Less, [true, false, false]),
        (Comparison::AtMost, [true, true, false]),
        (Comparison::AtLeast, [false, true, true]),
        (Comparison::Greater, [false, false, true]),
    ] {
        for other in [1, 1 << 32] {
            let rules = || vec![rule(1, said(Action::Allow, 0), &[when(0, comparison, bound)])];
            let answers = [bound - other, bound, bound + other].map(|value| ask(rules(), 1, value) == ALLOW);
            assert_eq!(answers, holding, "{comparison:?}");
        }
    }
}

#[test]
fn the_strictest_of_the_rules_that_hold_counts() {
    let rules = vec![
        rule(1, said(Action::Allow, 0), &[]),
        rule(1, said(Action::Errno, 13), &[when(0, Comparison::Equal, 7)]),
        rule(1, said(Action::KillProcess, 0), &[when(0, Comparison::AtLeast, 9)]),
    ];
    let errno = |number| libc::SECCOMP_RET_ERRNO | number;
    assert_eq!([6, 7, 9].map(|value| ask(rules.clone(), 1, value)), [ALLOW, errno(13), KILL]);
    assert_eq!(ask(rules, 2, 0), errno(1), "the default");
}

#[test]
fn what_makes_no_filter_is_refused() {
    let refused = |rule: FilterRule| {
        let asked = agent::Filter {
            otherwise: said(Action::Allow, 0),
            rules: vec![rule],
        };
        compile(&asked).expect_err("refused").message
    };
    assert_eq!(refused(rule(1, None, &[])), "filter: an answer is missing");
    assert_eq!(
        refused(rule(1, said(Action::Errno, 4096), &[])),
        "filter: errno is above 4095"
    );
    let sixth = when(6, Comparison::Equal, 0);
    assert_eq!(
        refused(rule(1, said(Action::Trap, 0), &[sixth])),
        "filter: a condition on an argument above 5"
    );
    assert!(compile(&agent::Filter::default()).is_err(), "no default");
}

proptest! {
    /// The most that may be asked for fits, however it is spread.
    #[test]
    fn as_many_conditions_as_control_takes_fit(calls in prop::collection::vec(0u32..470, 256), every_other in any::<bool>()) {
        let condition = when(0, Comparison::Greater, 1 << 40);
        let single = |call: &u32| rule(*call, said(Action::Allow, 0), &[condition]);
        let plain = (0..470).filter(|call| !every_other || call % 2 == 0).map(|call| rule(call, said(Action::Errno, call), &[]));
        let rules: Vec<_> = calls.iter().map(single).chain(plain).collect();
        let asked = agent::Filter { otherwise: said(Action::KillProcess, 0), rules };
        prop_assert!(compile(&asked).is_ok());
    }
}
