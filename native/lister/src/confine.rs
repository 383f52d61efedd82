//! What is left to this process before it reads a layer: bounded memory and time, and a handful of system calls.

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, apply_filter};
use std::collections::BTreeMap;

/// What four million entries take, twice.
const MEMORY_BYTES: u64 = 1 << 30;
const CPU_SECONDS: u64 = 60;

const ALLOWED: &[(i64, &str)] = &[
    (libc::SYS_pread64, "layers"),
    (libc::SYS_write, "listings, a message on stderr"),
    (libc::SYS_close, "layers"),
    (libc::SYS_brk, "memory"),
    (libc::SYS_mmap, "memory"),
    (libc::SYS_munmap, "memory"),
    (libc::SYS_mremap, "memory"),
    (libc::SYS_madvise, "memory given back"),
    (libc::SYS_getrandom, "seed of hash tables"),
    (libc::SYS_sigaltstack, "end of the main thread"),
    (libc::SYS_rt_sigprocmask, "abort"),
    (libc::SYS_rt_sigaction, "abort"),
    (libc::SYS_gettid, "abort"),
    (libc::SYS_getpid, "abort"),
    (libc::SYS_tgkill, "abort"),
    (libc::SYS_restart_syscall, "after a stop and continue"),
    (libc::SYS_exit_group, "end"),
];

pub fn confine() -> Result<(), String> {
    let limit = |resource, most| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(|error| format!("limit: {error}"))
    };
    limit(Resource::As, MEMORY_BYTES)?;
    limit(Resource::Cpu, CPU_SECONDS)?;
    limit(Resource::Core, 0)?;
    let rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|(call, _)| (*call, Vec::new())).collect();
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let filter =
        SeccompFilter::new(rules, denied, SeccompAction::Allow, TargetArch::x86_64).map_err(|error| error.to_string())?;
    let program: BpfProgram = filter
        .try_into()
        .map_err(|error: seccompiler::BackendError| error.to_string())?;
    apply_filter(&program).map_err(|error| format!("seccomp: {error}"))
}
