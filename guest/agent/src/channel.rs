use crate::outbox::Outbox;
use crate::session::AgentError;
use alloc::{boxed::Box, vec};
use caisson_frame::agent::HostFrame;
use caisson_frame::{Decoder, FrameError};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

const READ_BYTES: usize = 64 << 10;

/// The byte stream to the worker.
pub struct Channel {
    stream: OwnedFd,
    decoder: Decoder<HostFrame>,
    /// Touched only as far as data comes in.
    buffer: Box<[u8]>,
}

impl Channel {
    pub fn new(stream: OwnedFd) -> Result<Self, Errno> {
        rustix::io::ioctl_fionbio(&stream, true)?;
        Ok(Self {
            stream,
            decoder: Decoder::new(),
            buffer: vec![0; READ_BYTES].into(),
        })
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// False at the stream's end.
    pub fn read(&mut self) -> Result<bool, AgentError> {
        match rustix::io::read(&self.stream, &mut *self.buffer) {
            Ok(0) if self.decoder.at_boundary() => Ok(false),
            Ok(0) => Err(FrameError::Truncated.into()),
            Ok(count) => {
                self.decoder.push(&self.buffer[..count]);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(errno) => Err(AgentError::Stream(errno)),
        }
    }

    pub fn pull(&mut self) -> Result<Option<HostFrame>, FrameError> {
        self.decoder.pull()
    }

    pub fn flush(&self, outbox: &mut Outbox) -> Result<(), AgentError> {
        outbox.flush(self.stream.as_fd()).map_err(AgentError::Stream)
    }
}
