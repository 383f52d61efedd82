//! A filter of system calls, made of a reviewed list (`seccomp.json` of its owner) or of what a client asks for on top.
#![cfg_attr(not(any(test, feature = "generate", feature = "simulate")), no_std)]

extern crate alloc;

mod condition;
#[cfg(feature = "generate")]
mod generate;
#[cfg(feature = "simulate")]
pub mod loaded;
mod program;
#[cfg(any(test, feature = "simulate"))]
pub mod simulate;

use alloc::vec::Vec;
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

pub use condition::{Condition, Test};
#[cfg(feature = "generate")]
pub use generate::{generate, generate_as};
pub use program::{Alternative, Answer, Call, TooLong, program};

/// The rules that the build script of the caller's crate generated.
#[macro_export]
macro_rules! rules {
    () => {
        $crate::rules!("rules")
    };
    ($name:literal) => {{
        #[allow(unused_imports, reason = "a list may do without some of them")]
        use $crate::{Condition, Rule, Test, Verdict};
        const RULES: &[Rule] = include!(concat!(env!("OUT_DIR"), "/", $name, ".rs"));
        RULES
    }};
}

/// What the kernel is to be given of them.
#[macro_export]
macro_rules! filter {
    () => {{
        use $crate::Instruction;
        const FILTER: &[Instruction] = include!(concat!(env!("OUT_DIR"), "/rules.filter.rs"));
        FILTER
    }};
}

/// SHA-256 of the list's file: which list a program was built with.
#[macro_export]
macro_rules! digest {
    () => {
        include!(concat!(env!("OUT_DIR"), "/rules.digest.rs"))
    };
}

/// One entry of a reviewed list.
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

impl Verdict {
    pub const fn answer(self) -> Answer {
        match self {
            Verdict::Allow => ALLOW,
            Verdict::Deny => DENY,
            Verdict::Absent => ABSENT,
        }
    }
}

pub type Instruction = libc::sock_filter;
pub type Filter = Vec<Instruction>;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const MASK: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const GO_ON: u32 = libc::BPF_JMP | libc::BPF_JA;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const IF_ABOVE: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;

pub const ALLOW: Answer = libc::SECCOMP_RET_ALLOW;
pub const DENY: Answer = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
pub const ABSENT: Answer = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
pub const KILL: Answer = libc::SECCOMP_RET_KILL_PROCESS;

const fn plain(code: u32, k: u32) -> Instruction {
    Instruction {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// `skip_if` instructions are passed over where the test holds, `skip_if_not` where it fails.
fn branch(code: u32, k: u32, skip_if: usize, skip_if_not: usize) -> Instruction {
    let near = |skip: usize| u8::try_from(skip).expect("a branch of the filter is within 255 instructions");
    Instruction {
        code: code as u16,
        jt: near(skip_if),
        jf: near(skip_if_not),
        k,
    }
}

/// Of a reviewed list: what it does not name is missing, newer calls too, and x32 calls, whose numbers are above all known ones.
pub fn compile(rules: &[Rule]) -> Filter {
    compile_else(rules, ABSENT)
}

/// Of a list that says what is taken away from a program that is too broad for a list of all it needs: what it does not name is allowed.
pub fn compile_denials(rules: &[Rule]) -> Filter {
    compile_else(rules, ALLOW)
}

fn compile_else(rules: &[Rule], others: Answer) -> Filter {
    program(rules.iter().map(call).collect(), others).expect("a reviewed list fits the kernel")
}

fn call(rule: &Rule) -> Call {
    decided(rule.number, rule.verdict, rule.when)
}

fn decided(number: u32, verdict: Verdict, when: &[impl AsRef<[Condition]>]) -> Call {
    let answer = verdict.answer();
    let alternative = |conditions: &_| Alternative {
        conditions: <_ as AsRef<[Condition]>>::as_ref(conditions).to_vec(),
        answer,
    };
    Call {
        number,
        alternatives: when.iter().map(alternative).collect(),
        otherwise: if when.is_empty() { answer } else { DENY },
    }
}

/// What a process of ours does for itself: it never gets out of the filter again, nor does any thread that it makes from here on.
pub fn confine(rules: &[Rule]) -> Result<(), Errno> {
    rustix::thread::set_no_new_privs(true)?;
    attach(&compile(rules))
}

/// Holds for this process and all it becomes; `no_new_privs` must be set. Neither allocates nor locks.
pub fn attach(filter: &[Instruction]) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, whose pointer and length describe `filter`.
    let result = unsafe { syscall!(Sysno::seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    result.map(drop).map_err(|errno| Errno::from_raw_os_error(errno.into_raw()))
}

#[cfg(test)]
#[path = "lib_test.rs"]
mod tests;
