use alloc::{format, string::String, vec::Vec};
use caisson_frame::ErrnoName;
use caisson_frame::agent::{Failed, failed::Step};
use core::fmt::Display;
use prost::Message;
use rustix::io::Errno;

/// A message quotes what the client sent, and travels through a pipe in one write.
const MESSAGE_BYTES: usize = 1024;

/// Why a program was not started.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub step: Step,
    pub errno: Errno,
    pub message: String,
}

impl Failure {
    /// "exec /bin/nope: ENOENT"
    pub fn new(step: Step, what: impl Display, errno: Errno) -> Self {
        Self::explained(step, errno, format!("{what}: {}", ErrnoName(errno.raw_os_error())))
    }

    /// Where a sentence says more than the errno does.
    pub fn explained(step: Step, errno: Errno, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let end = (0..=MESSAGE_BYTES.min(message.len()))
            .rev()
            .find(|&at| message.is_char_boundary(at));
        message.truncate(end.unwrap_or(0));
        Self { step, errno, message }
    }

    pub fn into_frame(self, process_id: u32) -> Failed {
        Failed {
            process_id,
            step: self.step as i32,
            errno: self.errno.raw_os_error(),
            message: self.message,
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { step, errno, message } = self;
        Failed {
            process_id: 0,
            step: *step as i32,
            errno: errno.raw_os_error(),
            message: message.clone(),
        }
        .encode_to_vec()
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let failed = Failed::decode(bytes).ok()?;
        Some(Self {
            step: failed.step(),
            errno: Errno::from_raw_os_error(failed.errno),
            message: failed.message,
        })
    }
}

pub trait At<T> {
    fn at(self, step: Step, what: impl Display) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: Step, what: impl Display) -> Result<T, Failure> {
        self.map_err(|errno| Failure::new(step, what, errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_pipe() {
        let failure = Failure::new(Step::Exec, "exec /bin/nope", Errno::NOENT);
        assert_eq!(failure.message, "exec /bin/nope: ENOENT");
        assert_eq!(Failure::from_bytes(&failure.to_bytes()), Some(failure));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let failure = Failure::explained(Step::User, Errno::NOENT, "ü".repeat(MESSAGE_BYTES) + "x");
        assert_eq!(failure.message, "ü".repeat(MESSAGE_BYTES / 2));
        assert!(failure.to_bytes().len() < rustix::pipe::PIPE_BUF);
    }
}
