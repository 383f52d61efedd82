//! The client's own filter. The kernel takes the stricter answer of it and the sandbox's, so whatever it says, it can only take away.
use crate::failure::Failure;
use alloc::collections::BTreeMap;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use caisson_frame::agent::{self, Action, Comparison, failed::Step};
use caisson_seccomp::{ALLOW, Alternative, Answer, Call, Condition, Filter, KILL, Test, program};
use rustix::io::Errno;

const ARGUMENTS: u32 = 6;
const MAX_ERRNO: u32 = 4095;

pub fn compile(asked: &agent::Filter) -> Result<Filter, Failure> {
    let refuse = |what: String| Failure::explained(Step::Request, Errno::INVAL, format!("filter: {what}"));
    let calls = calls(asked).map_err(|what| refuse(what.into()))?;
    let otherwise = answer(asked.otherwise.as_ref()).map_err(|what| refuse(what.into()))?;
    program(decided(calls, otherwise), otherwise).map_err(|error| refuse(error.to_string()))
}

type Alternatives = BTreeMap<u32, Vec<Alternative>>;

fn calls(asked: &agent::Filter) -> Result<Alternatives, &'static str> {
    let mut calls = Alternatives::new();
    for rule in &asked.rules {
        let answer = answer(rule.answer.as_ref())?;
        let conditions = rule.conditions.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        for number in &rule.calls {
            let conditions = conditions.clone();
            calls.entry(*number).or_default().push(Alternative { conditions, answer });
        }
    }
    Ok(calls)
}

/// The strictest first, up to one that holds always.
fn decided(calls: Alternatives, otherwise: Answer) -> Vec<Call> {
    let decide = |(number, mut alternatives): (u32, Vec<Alternative>)| {
        alternatives.sort_by_key(|alternative| strictness(alternative.answer));
        let always = alternatives.iter().position(|alternative| alternative.conditions.is_empty());
        let otherwise = always.map_or(otherwise, |index| alternatives[index].answer);
        alternatives.truncate(always.unwrap_or(alternatives.len()));
        Call {
            number,
            alternatives,
            otherwise,
        }
    };
    calls.into_iter().map(decide).collect()
}

/// As the kernel orders them: lower is stricter.
fn strictness(answer: Answer) -> i32 {
    (answer & libc::SECCOMP_RET_ACTION_FULL) as i32
}

fn answer(asked: Option<&agent::Answer>) -> Result<Answer, &'static str> {
    let asked = asked.ok_or("an answer is missing")?;
    match asked.action() {
        Action::Allow => Ok(ALLOW),
        Action::Errno if asked.errno <= MAX_ERRNO => Ok(libc::SECCOMP_RET_ERRNO | asked.errno),
        Action::Errno => Err("errno is above 4095"),
        Action::Trap => Ok(libc::SECCOMP_RET_TRAP),
        Action::KillThread => Ok(libc::SECCOMP_RET_KILL_THREAD),
        Action::KillProcess => Ok(KILL),
        Action::Unspecified => Err("an answer of no known kind"),
    }
}

fn condition(asked: &agent::Condition) -> Result<Condition, &'static str> {
    let whole = |value| Test::Masked { mask: u64::MAX, value };
    let (test, holds) = match asked.comparison() {
        Comparison::Equal => (whole(asked.value), true),
        Comparison::NotEqual => (whole(asked.value), false),
        Comparison::Less => (Test::AtLeast(asked.value), false),
        Comparison::AtMost => (Test::Above(asked.value), false),
        Comparison::AtLeast => (Test::AtLeast(asked.value), true),
        Comparison::Greater => (Test::Above(asked.value), true),
        Comparison::MaskedEqual => (
            Test::Masked {
                mask: asked.mask,
                value: asked.value,
            },
            true,
        ),
        Comparison::Unspecified => return Err("a comparison of no known kind"),
    };
    match asked.argument {
        argument @ 0..ARGUMENTS => Ok(Condition { argument, test, holds }),
        _ => Err("a condition on an argument above 5"),
    }
}

#[cfg(test)]
#[path = "narrow_test.rs"]
mod tests;
