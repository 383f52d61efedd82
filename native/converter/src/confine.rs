//! Our own seccomp filter, from before the first byte of a layer: reading, writing, memory, threads, and looking at the lower layers. There is
//! nothing to execute and nothing to connect to, so the process that reads hostile bytes can do neither.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter,
};
use std::collections::BTreeMap;

const ALLOWED: &[(i64, &str)] = &[
    (libc::SYS_accept4, "the one connection"),
    (libc::SYS_read, "blob, lower files, spool"),
    (libc::SYS_recvfrom, "std reads sockets with it"),
    (libc::SYS_write, "output, spool, messages on stderr"),
    (libc::SYS_sendto, "std writes the answer with it"),
    (libc::SYS_pwrite64, "superblock"),
    (libc::SYS_pread64, "layers to fold"),
    (libc::SYS_sync_file_range, "output, to disk while it is written"),
    (libc::SYS_lseek, "spool, from its start"),
    (libc::SYS_close, "files"),
    (libc::SYS_shutdown, "end of the answer"),
    (libc::SYS_openat2, "lower layers, beneath their root"),
    (libc::SYS_fstat, "lower layers"),
    (libc::SYS_newfstatat, "the same, as libc asks it"),
    (libc::SYS_statx, "the same, as std asks it"),
    (libc::SYS_readlinkat, "lower layers"),
    (libc::SYS_getdents64, "root of the lower layers"),
    (libc::SYS_fcntl, "close-on-exec of a copied descriptor"),
    (libc::SYS_flistxattr, "lower layers"),
    (libc::SYS_fgetxattr, "lower layers"),
    (libc::SYS_brk, "memory"),
    (libc::SYS_mmap, "memory"),
    (libc::SYS_munmap, "memory"),
    (libc::SYS_mremap, "memory"),
    (libc::SYS_mprotect, "stack guard of a thread"),
    (libc::SYS_madvise, "memory given back"),
    (libc::SYS_futex, "threads wait for each other"),
    (libc::SYS_set_robust_list, "start of a thread"),
    (libc::SYS_rseq, "start of a thread"),
    (libc::SYS_gettid, "start of a thread, abort"),
    (libc::SYS_getpid, "abort"),
    (libc::SYS_tgkill, "abort"),
    (libc::SYS_sched_getaffinity, "stack bounds of a thread"),
    (libc::SYS_sched_yield, "threads wait for each other"),
    (libc::SYS_prctl, "name of a thread"),
    (libc::SYS_sigaltstack, "stack overflow handler of a thread"),
    (libc::SYS_rt_sigprocmask, "start and end of a thread"),
    (libc::SYS_rt_sigaction, "abort"),
    (libc::SYS_rt_sigreturn, "after a signal"),
    (libc::SYS_restart_syscall, "after a stop and continue"),
    (libc::SYS_getrandom, "seed of hash tables"),
    (libc::SYS_clock_gettime, "where the vDSO cannot"),
    (libc::SYS_exit, "end of a thread"),
    (libc::SYS_exit_group, "end"),
];

/// Past the file size limit of the jail a write fails with EFBIG, which we can report; the signal that comes with it would end us.
pub fn report_full_files() {
    // SAFETY: no handler, so nothing runs.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

pub fn confine() -> Result<(), String> {
    // First, for the second one allows no other. `clone3` hides its flags from a filter; told that it does not exist, libc takes `clone`.
    apply(no_clone3()?)?;
    apply(allow_list()?)
}

/// Anything else fails with EPERM: code of ours or of libc that tries something rare gets an error to report.
fn allow_list() -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|(call, _)| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, vec![threads_only()?]);
    rules.insert(libc::SYS_clone3, Vec::new());
    compile(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

fn no_clone3() -> Result<BpfProgram, String> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))
}

fn threads_only() -> Result<SeccompRule, String> {
    let thread = libc::CLONE_THREAD as u64;
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), thread);
    SeccompRule::new(vec![condition.map_err(|error| error.to_string())?]).map_err(|error| error.to_string())
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, String> {
    let filter = SeccompFilter::new(rules, otherwise, listed, TargetArch::x86_64).map_err(|error| error.to_string())?;
    filter
        .try_into()
        .map_err(|error: seccompiler::BackendError| error.to_string())
}

fn apply(program: BpfProgram) -> Result<(), String> {
    apply_filter(&program).map_err(|error| format!("seccomp: {error}"))
}
