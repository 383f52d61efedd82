//! A filter of system calls, made of a reviewed list (`seccomp.json` of its owner). One binary search over ranges of call numbers instead of a chain of comparisons:
//! the kernel emulates a filter once for every call number when it is attached, and a chain makes that cost more than the whole start of
//! a program. Calls whose arguments are not looked at are then decided by the kernel's own bitmap.
#[cfg(feature = "generate")]
mod generate;
#[cfg(any(test, feature = "simulate"))]
pub mod simulate;

use rustix::io::Errno;

#[cfg(feature = "generate")]
pub use generate::{generate, generate_as};

/// The rules that the build script of the caller's crate generated.
#[macro_export]
macro_rules! rules {
    () => {
        $crate::rules!("rules")
    };
    ($name:literal) => {{
        #[allow(unused_imports, reason = "a list may do without some of them")]
        use $crate::{Condition, Rule, Test, Verdict, libc};
        const RULES: &[Rule] = include!(concat!(env!("OUT_DIR"), "/", $name, ".rs"));
        RULES
    }};
}

#[doc(hidden)]
pub use libc;

#[derive(Debug)]
pub struct Rule {
    /// For tests and readers of a debugger.
    pub name: &'static str,
    pub number: u32,
    pub verdict: Verdict,
    /// Alternatives; each holds when all its conditions do. None: the verdict stands whatever the arguments are.
    pub when: &'static [&'static [Condition]],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Allow,
    /// EPERM: the call exists, and is not for this process.
    Deny,
    /// ENOSYS: so that callers fall back to an older way.
    Absent,
}

/// Of the lower 32 bits of an argument: all that the kernel reads where conditions are used.
#[derive(Debug)]
pub struct Condition {
    pub argument: u32,
    pub test: Test,
}

#[derive(Debug)]
pub enum Test {
    Equals(u32),
    NoneOf(u32),
    SomeOf(u32),
}

pub type Instruction = libc::sock_filter;
pub type Filter = Vec<Instruction>;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const IF_ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;

const ALLOW: Instruction = plain(RETURN, libc::SECCOMP_RET_ALLOW);
const DENY: Instruction = plain(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
const ABSENT: Instruction = plain(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
const KILL: Instruction = plain(RETURN, libc::SECCOMP_RET_KILL_PROCESS);

const fn plain(code: u32, k: u32) -> Instruction {
    Instruction {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// `skip_if_not` instructions are passed over where the test fails, `skip_if` where it holds.
fn jump(code: u32, k: u32, skip_if: usize, skip_if_not: usize) -> Instruction {
    let near = |skip: usize| u8::try_from(skip).expect("a jump of the filter is within 255 instructions");
    Instruction {
        code: code as u16,
        jt: near(skip_if),
        jf: near(skip_if_not),
        k,
    }
}

/// The kernel takes no more.
const MAX_INSTRUCTIONS: usize = 4_096;

/// A 32-bit program has other call numbers, and is killed at its first one; an x32 call has a number above all known ones: ENOSYS.
pub fn compile(rules: &[Rule]) -> Filter {
    compile_else(rules, ABSENT)
}

/// Of a list that says what is taken away from a program that is too broad for a list of all it needs: what it does not name is allowed.
pub fn compile_denials(rules: &[Rule]) -> Filter {
    compile_else(rules, ALLOW)
}

fn compile_else(rules: &[Rule], others: Instruction) -> Filter {
    let mut filter = vec![
        plain(LOAD, ARCHITECTURE),
        jump(IF_EQUAL, AUDIT_ARCH_X86_64, 1, 0),
        KILL,
        plain(LOAD, NUMBER),
    ];
    filter.extend(search(&ranges(rules, others)));
    assert!(filter.len() <= MAX_INSTRUCTIONS, "a filter of {} instructions", filter.len());
    filter
}

/// From `start` on, up to the next range.
struct Range {
    start: u32,
    answer: Filter,
}

fn ranges(rules: &[Rule], others: Instruction) -> Vec<Range> {
    let mut sorted: Vec<&Rule> = rules.iter().collect();
    sorted.sort_by_key(|rule| rule.number);
    let mut ranges = vec![Range {
        start: 0,
        answer: vec![others],
    }];
    for rule in sorted {
        extend(&mut ranges, rule.number, answer(rule));
        extend(&mut ranges, rule.number + 1, vec![others]);
    }
    ranges
}

fn extend(ranges: &mut Vec<Range>, start: u32, answer: Filter) {
    let same = |one: &Filter| one.len() == 1 && answer.len() == 1 && one[0].k == answer[0].k;
    if ranges.last().is_some_and(|last| last.start == start) {
        ranges.pop();
    }
    if !ranges.last().is_some_and(|last| same(&last.answer)) {
        ranges.push(Range { start, answer });
    }
}

fn search(ranges: &[Range]) -> Filter {
    if let [only] = ranges {
        return only.answer.clone();
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (below, above) = (search(low), search(high));
    let mut tree = vec![jump(IF_AT_LEAST, high[0].start, below.len(), 0)];
    tree.extend(below);
    tree.extend(above);
    tree
}

fn answer(rule: &Rule) -> Filter {
    let verdict = match rule.verdict {
        Verdict::Allow => ALLOW,
        Verdict::Deny => DENY,
        Verdict::Absent => ABSENT,
    };
    if rule.when.is_empty() {
        return vec![verdict];
    }
    let mut answer: Filter = rule.when.iter().flat_map(|all| alternative(all, verdict)).collect();
    answer.push(DENY);
    answer
}

/// Gives `verdict` where all conditions hold, and falls through to what follows where one does not.
fn alternative(all: &[Condition], verdict: Instruction) -> Filter {
    let mut steps = Vec::new();
    for (index, condition) in all.iter().enumerate() {
        let rest = 2 * (all.len() - index - 1) + 1;
        steps.push(plain(LOAD, ARGUMENTS + 8 * condition.argument));
        steps.push(match condition.test {
            Test::Equals(value) => jump(IF_EQUAL, value, 0, rest),
            Test::NoneOf(bits) => jump(IF_ANY_BIT, bits, rest, 0),
            Test::SomeOf(bits) => jump(IF_ANY_BIT, bits, 0, rest),
        });
    }
    steps.push(verdict);
    steps
}

/// Holds for this process and all it becomes; `no_new_privs` must be set. Neither allocates nor locks.
pub fn attach(filter: &[Instruction]) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, whose pointer and length describe `filter`.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if result == 0 {
        return Ok(());
    }
    // SAFETY: the C library's pointer to this thread's errno is always valid.
    Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
}

#[cfg(test)]
#[path = "lib_test.rs"]
mod tests;
