//! For tests: the kernel's answers to a filter, and those that its list gives.
use super::*;

/// What the kernel would answer: an interpreter of the few instructions that the compiler uses.
pub fn run(filter: &[Instruction], architecture: u32, number: u32, arguments: [u64; 6]) -> Answer {
    let load = |offset: u32| match offset {
        NUMBER => number,
        ARCHITECTURE => architecture,
        other => (arguments[((other - ARGUMENTS) / 8) as usize] >> (8 * (other % 8))) as u32,
    };
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let step = &filter[at];
        at += 1;
        let holds = match u32::from(step.code) {
            RETURN => return step.k,
            LOAD => {
                accumulator = load(step.k);
                continue;
            }
            MASK => {
                accumulator &= step.k;
                continue;
            }
            GO_ON => {
                at += step.k as usize;
                continue;
            }
            IF_EQUAL => accumulator == step.k,
            IF_AT_LEAST => accumulator >= step.k,
            IF_ABOVE => accumulator > step.k,
            other => panic!("unknown instruction {other:#x}"),
        };
        at += usize::from(if holds { step.jt } else { step.jf });
    }
}

/// The same decision, as the calls say it.
pub fn expected(calls: &[Call], otherwise: Answer, number: u32, arguments: [u64; 6]) -> Answer {
    let Some(call) = calls.iter().find(|call| call.number == number) else {
        return otherwise;
    };
    let met = |one: &&Alternative| one.conditions.iter().all(|condition| condition.is_met(&arguments));
    call.alternatives.iter().find(met).map_or(call.otherwise, |one| one.answer)
}

/// What the kernel says to a call by its name.
pub fn ask(rules: &[Rule], name: &str, arguments: [u64; 6]) -> Answer {
    let rule = rules.iter().find(|rule| rule.name == name);
    let number = rule.unwrap_or_else(|| panic!("{name} is not listed")).number;
    run(&compile(rules), AUDIT_ARCH_X86_64, number, arguments)
}

/// Far beyond every call that any kernel has.
const NUMBERS: u32 = 1_024;
const X32: u32 = 0x4000_0000;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;

/// Panics where `filter` (of a list, or as read back from a process) says anything but `rules` do: of every number by each of the three
/// ways in, with arguments that meet conditions and that do not.
pub fn check_says_what_is_listed(rules: &[Rule], filter: &[Instruction]) {
    let calls: Vec<Call> = rules.iter().map(call).collect();
    let listed = |number, arguments| expected(&calls, ABSENT, number, arguments);
    for number in 0..NUMBERS {
        for arguments in arguments_that_matter(&calls, number) {
            let answer = run(filter, AUDIT_ARCH_X86_64, number, arguments);
            assert_eq!(answer, listed(number, arguments), "call {number} with {arguments:x?}");
        }
        assert_eq!(
            run(filter, AUDIT_ARCH_X86_64, X32 | number, [0; 6]),
            ABSENT,
            "x32 call {number}"
        );
        assert_eq!(run(filter, AUDIT_ARCH_I386, number, [0; 6]), KILL, "32-bit call {number}");
    }
}

/// Each value of a condition of the call and its neighbours, in that argument, alone and on top of what meets each alternative.
fn arguments_that_matter(calls: &[Call], number: u32) -> Vec<[u64; 6]> {
    let mut all = vec![[0; 6], [u64::MAX; 6]];
    let alternatives = calls
        .iter()
        .filter(|call| call.number == number)
        .flat_map(|call| &call.alternatives);
    for alternative in alternatives.clone() {
        let mut meeting = [0; 6];
        for condition in &alternative.conditions {
            meeting[condition.argument as usize] |= meets(condition);
        }
        all.push(meeting);
    }
    for condition in alternatives.flat_map(|alternative| &alternative.conditions) {
        let Test::Masked { mask, value } = condition.test else {
            continue;
        };
        for base in all.clone().into_iter().take(16) {
            for other in [
                value,
                value ^ (mask & mask.wrapping_neg()),
                value.wrapping_add(1),
                value | 1 << 32,
            ] {
                let mut arguments = base;
                arguments[condition.argument as usize] = other;
                all.push(arguments);
            }
        }
        all.truncate(4_096);
    }
    all
}

fn meets(condition: &Condition) -> u64 {
    match condition.test {
        Test::Masked { mask, value } => value ^ if condition.holds { 0 } else { mask },
        Test::AtLeast(bound) | Test::Above(bound) => bound,
    }
}
