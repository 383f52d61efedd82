//! Our own seccomp filter (`seccomp.json`), from before the first byte of a layer. There is nothing to execute and nothing to connect to, so
//! the process that reads hostile bytes can do neither.
use caisson_seccomp::Rule;

const RULES: &[Rule] = caisson_seccomp::rules!();

/// Past the file size limit of the jail a write fails with EFBIG, which we can report; the signal that comes with it would end us.
pub fn report_full_files() {
    // SAFETY: no handler, so nothing runs.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Anything that is not listed fails: code of ours or of libc that tries something rare gets an error to report.
pub fn confine() -> Result<(), String> {
    caisson_seccomp::confine(RULES).map_err(|errno| format!("seccomp: {errno}"))
}
