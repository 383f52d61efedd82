use crate::step::{At, Failure, Step};
use caisson_frame::launch::{Event, Failed, Request, event, request};
use caisson_frame::{Decoder, FrameError, write_frame};
use rustix::io::Errno;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The worker's end of a conversation.
pub struct Peer {
    stream: UnixStream,
    decoder: Decoder<Request>,
}

impl Peer {
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            decoder: Decoder::new(),
        }
    }

    /// A request that has come in whole.
    pub fn pull(&mut self) -> Result<Option<request::Request>, Failure> {
        let Some(request) = self.decoder.pull().map_err(broken)? else {
            return Ok(None);
        };
        request
            .request
            .ok_or(Errno::PROTO)
            .about(Step::Frame, "unknown request")
            .map(Some)
    }

    /// Waits for bytes, once. False when the worker has closed.
    pub fn read(&mut self) -> Result<bool, Failure> {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.decoder.push(&bytes[..count]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error).about(Step::Frame, "stream"),
            }
        }
    }

    /// Waits for a request; `None` when the worker has closed.
    pub fn receive(&mut self) -> Result<Option<request::Request>, Failure> {
        loop {
            match self.pull()? {
                None if !self.read()? => return Ok(None),
                None => {}
                request => return Ok(request),
            }
        }
    }

    /// A worker that is gone shows at the next read: what it is not told is no failure of ours.
    pub fn send(&mut self, event: event::Event) {
        let _ = write_frame(&mut self.stream, &Event { event: Some(event) });
    }

    pub fn fail(&mut self, failure: &Failure) {
        let message = failure.to_string();
        self.send(event::Event::Failed(Failed {
            step: failure.step.name().into(),
            errno: failure.errno,
            message,
        }));
    }

    /// Nothing more is expected of it but to close.
    pub fn await_close(&mut self) {
        let mut bytes = [0; 4096];
        while matches!(self.stream.read(&mut bytes), Ok(count) if count > 0) {}
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn broken(error: FrameError) -> Failure {
    Failure {
        step: Step::Frame,
        subject: error.to_string(),
        errno: libc::EPROTO,
    }
}
