//! For tests: the kernel's answers to a filter, and the list's own.
use super::*;

/// What the kernel would answer: an interpreter of the few instructions that the compiler uses.
pub fn run(filter: &Filter, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
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
pub fn expected(rules: &[Rule], number: u32, arguments: [u64; 6]) -> u32 {
    let Some(rule) = rules.iter().find(|rule| rule.number == number) else {
        return ABSENT.k;
    };
    let holds = |condition: &Condition| {
        let value = arguments[condition.argument as usize] as u32;
        match condition.test {
            Test::Equals(wanted) => value == wanted,
            Test::NoneOf(bits) => value & bits == 0,
            Test::SomeOf(bits) => value & bits != 0,
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

pub const ALLOWED: u32 = ALLOW.k;
pub const DENIED: u32 = DENY.k;
pub const MISSING: u32 = ABSENT.k;

/// What the kernel says to a call by its name.
pub fn ask(rules: &[Rule], name: &str, arguments: [u64; 6]) -> u32 {
    let rule = rules.iter().find(|rule| rule.name == name);
    let number = rule.unwrap_or_else(|| panic!("{name} is not listed")).number;
    run(&compile(rules), AUDIT_ARCH_X86_64, number, arguments)
}
