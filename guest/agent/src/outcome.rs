//! What the `outcome` pipe says: whether the main process became the program.
use crate::failure::Failure;
use caisson_frame::agent::{Counters, Exited, exited::End, failed::Step};
use rustix::io::Errno;

/// The last word of a process that is about to execve. The pipe's end after it means that execve closed it: the program runs.
pub const EXECUTING: u8 = 1;
/// Followed by a `Failed` message.
pub const FAILED: u8 = 2;

/// Of everything that the pipe carried up to its end.
pub fn judge(said: &[u8]) -> Result<(), Failure> {
    match said.strip_prefix(&[EXECUTING]).unwrap_or(said) {
        [] if !said.is_empty() => Ok(()),
        [FAILED, failure @ ..] => Err(Failure::from_bytes(failure).unwrap_or_else(killed)),
        _ => Err(killed()),
    }
}

fn killed() -> Failure {
    Failure::explained(
        Step::Clone,
        Errno::SRCH,
        "start: the process was killed before it became the program",
    )
}

/// Of a wait status.
pub fn exited(process_id: u32, status: i32, counters: Option<Counters>) -> Exited {
    let end = match libc::WIFSIGNALED(status) {
        true => End::Signal(libc::WTERMSIG(status) as u32),
        false => End::ExitCode(libc::WEXITSTATUS(status) as u32),
    };
    Exited {
        process_id,
        end: Some(end),
        core_dumped: libc::WCOREDUMP(status),
        counters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_after_the_announcement_is_a_start() {
        let failure = || Failure::new(Step::Exec, "exec /bin/nope", Errno::NOENT);
        let told = |prefix: &[u8]| [prefix, &[FAILED], &failure().to_bytes()].concat();
        assert_eq!(judge(&[EXECUTING]), Ok(()));
        assert_eq!(judge(&told(&[EXECUTING])), Err(failure()));
        assert_eq!(judge(&told(&[])), Err(failure()));
        assert_eq!(judge(&[]), Err(killed()));
        assert_eq!(judge(&[FAILED, 0xff]), Err(killed()));
    }

    #[test]
    fn wait_status_becomes_code_or_signal() {
        assert_eq!(exited(1, 42 << 8, None).end, Some(End::ExitCode(42)));
        assert_eq!(exited(1, libc::SIGSEGV, None).end, Some(End::Signal(11)));
        assert!(exited(1, libc::SIGSEGV | 0x80, None).core_dumped);
    }
}
