//! Answers to calls, as a program for the kernel. One binary search over ranges of call numbers instead of a chain of comparisons: the
//! kernel emulates a filter once for every call number when it is attached, and a chain makes that cost more than the whole start of a
//! program. Calls whose arguments are not looked at are then decided by the kernel's own bitmap.
use super::{
    ARCHITECTURE, AUDIT_ARCH_X86_64, Condition, Filter, GO_ON, IF_AT_LEAST, IF_EQUAL, Instruction, KILL, LOAD, NUMBER, RETURN,
    branch, plain,
};
use alloc::{vec, vec::Vec};

/// What is answered to one call: that of the first alternative whose conditions are all met, else `otherwise`.
#[derive(Clone, Debug)]
pub struct Call {
    pub number: u32,
    pub alternatives: Vec<Alternative>,
    pub otherwise: Answer,
}

#[derive(Clone, Debug)]
pub struct Alternative {
    pub conditions: Vec<Condition>,
    pub answer: Answer,
}

/// A `SECCOMP_RET_…` with its data.
pub type Answer = u32;

/// The kernel takes no more.
const MAX_INSTRUCTIONS: usize = 4_096;
/// That a branch can skip.
const NEAR: usize = 255;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter has {0} instructions, the kernel takes {MAX_INSTRUCTIONS}")]
pub struct TooLong(usize);

/// No number may come twice. A 32-bit program has other call numbers, and is killed at its first one.
pub fn program(mut calls: Vec<Call>, otherwise: Answer) -> Result<Filter, TooLong> {
    calls.sort_by_key(|call| call.number);
    let mut program = vec![
        plain(LOAD, ARCHITECTURE),
        branch(IF_EQUAL, AUDIT_ARCH_X86_64, 1, 0),
        plain(RETURN, KILL),
        plain(LOAD, NUMBER),
    ];
    program.extend(search(&ranges(&calls, otherwise)));
    match program.len() {
        0..=MAX_INSTRUCTIONS => Ok(program),
        length => Err(TooLong(length)),
    }
}

/// From `start` on, up to the next range.
struct Range {
    start: u32,
    instructions: Filter,
}

fn ranges(calls: &[Call], otherwise: Answer) -> Vec<Range> {
    let rest = || vec![plain(RETURN, otherwise)];
    let mut ranges = vec![Range {
        start: 0,
        instructions: rest(),
    }];
    for call in calls {
        extend(&mut ranges, call.number, decide(call));
        extend(&mut ranges, call.number + 1, rest());
    }
    ranges
}

fn extend(ranges: &mut Vec<Range>, start: u32, instructions: Filter) {
    let same = |one: &[Instruction]| matches!((one, &instructions[..]), ([one], [other]) if one.k == other.k);
    if ranges.last().is_some_and(|last| last.start == start) {
        ranges.pop();
    }
    if !ranges.last().is_some_and(|last| same(&last.instructions)) {
        ranges.push(Range { start, instructions });
    }
}

fn search(ranges: &[Range]) -> Filter {
    if let [only] = ranges {
        return only.instructions.clone();
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let (first, below, above) = (above[0].start, search(below), search(above));
    let mut tree = if below.len() <= NEAR {
        vec![branch(IF_AT_LEAST, first, below.len(), 0)]
    } else {
        vec![branch(IF_AT_LEAST, first, 0, 1), plain(GO_ON, below.len() as u32)]
    };
    tree.extend(below);
    tree.extend(above);
    tree
}

fn decide(call: &Call) -> Filter {
    let mut instructions: Filter = call.alternatives.iter().flat_map(attempt).collect();
    instructions.push(plain(RETURN, call.otherwise));
    instructions
}

/// Answers where all conditions are met, and falls through to what follows where one is not.
fn attempt(alternative: &Alternative) -> Filter {
    let mut instructions = vec![plain(RETURN, alternative.answer)];
    for condition in alternative.conditions.iter().rev() {
        let mut with = condition.instructions(instructions.len());
        with.append(&mut instructions);
        instructions = with;
    }
    instructions
}
