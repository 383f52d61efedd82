//! The three pipes of a process, each with the credit that bounds what is on its way.
use crate::outbox::{CHUNK_BYTES, Outbox};
use crate::session::Violation;
use alloc::collections::VecDeque;
use caisson_frame::agent::{Input, InputCredit, Stream, agent_frame::Frame};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Bytes of input that may wait in the agent.
pub const INPUT_CREDIT: u64 = 256 << 10;
/// Credit goes back in pieces of at least this, unless nothing waits.
const CREDIT_STEP: u64 = INPUT_CREDIT / 4;

pub struct OutputStream {
    stream: Stream,
    /// None once everything was sent.
    pipe: Option<OwnedFd>,
    offset: u64,
    credit: u64,
}

impl OutputStream {
    pub fn new(stream: Stream, pipe: OwnedFd, credit: u64) -> Self {
        Self {
            stream,
            pipe: Some(pipe),
            offset: 0,
            credit,
        }
    }

    pub fn ended(&self) -> bool {
        self.pipe.is_none()
    }

    pub fn close(&mut self) {
        self.pipe = None;
    }

    /// To be polled for reading: only while something read could be sent.
    pub fn wanted(&self, outbox: &Outbox) -> Option<BorrowedFd<'_>> {
        self.pipe
            .as_ref()
            .filter(|_| self.credit > 0 && outbox.is_empty())
            .map(AsFd::as_fd)
    }

    pub fn add_credit(&mut self, bytes: u64) -> Result<(), Violation> {
        self.credit = self.credit.checked_add(bytes).ok_or(Violation::CreditOverflow)?;
        Ok(())
    }

    /// One chunk into the outbox, where credit and outbox allow. `writers_gone`: what is not in the pipe now will never be.
    pub fn read(&mut self, process_id: u32, outbox: &mut Outbox, writers_gone: bool) -> Result<(), Errno> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        if self.credit == 0 || !outbox.is_empty() {
            return Ok(());
        }
        let most = CHUNK_BYTES.min(usize::try_from(self.credit).unwrap_or(usize::MAX));
        match rustix::io::read(pipe, &mut outbox.chunk_buffer()[..most]) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                outbox.push_chunk(process_id, self.stream, self.offset, length);
                self.offset += length as u64;
                self.credit -= length as u64;
            }
            Err(Errno::AGAIN) if writers_gone => self.pipe = None,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }
}

pub struct InputStream {
    /// None once the process closed its end, or everything up to the end was written.
    pipe: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    received: u64,
    /// Bytes that the worker may still send.
    allowed: u64,
    /// Written to the pipe, and not yet given back as credit.
    owed: u64,
    end: bool,
    closed_untold: bool,
}

impl InputStream {
    pub fn new(pipe: Option<OwnedFd>) -> Self {
        let allowed = if pipe.is_some() { INPUT_CREDIT } else { 0 };
        Self {
            pipe,
            waiting: VecDeque::new(),
            received: 0,
            allowed,
            owed: 0,
            end: false,
            closed_untold: false,
        }
    }

    pub fn initial_credit(&self) -> u64 {
        self.allowed
    }

    /// An error condition on it, which is told unasked, means that nobody reads any more.
    pub fn wanted(&self) -> Option<(BorrowedFd<'_>, bool)> {
        self.pipe.as_ref().map(|pipe| (pipe.as_fd(), !self.waiting.is_empty()))
    }

    pub fn take(&mut self, input: Input) -> Result<(), Violation> {
        let length = input.data.len() as u64;
        if input.offset != self.received || (self.end && length > 0) {
            return Err(Violation::InputOffset);
        }
        if length > self.allowed {
            return Err(Violation::InputCredit);
        }
        self.received += length;
        self.allowed -= length;
        self.end |= input.end;
        if self.pipe.is_some() {
            self.waiting.extend(&input.data);
            self.close_at_end();
        }
        Ok(())
    }

    pub fn write(&mut self) -> Result<(), Errno> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let (first, _) = self.waiting.as_slices();
        if !first.is_empty() {
            match rustix::io::write(pipe, first) {
                Ok(count) => {
                    self.waiting.drain(..count);
                    self.owed += count as u64;
                }
                Err(Errno::PIPE) => self.reader_gone(),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.close_at_end();
        Ok(())
    }

    pub fn reader_gone(&mut self) {
        if self.pipe.take().is_some() {
            self.closed_untold = !self.end;
        }
        self.waiting = VecDeque::new();
    }

    fn close_at_end(&mut self) {
        if self.end && self.waiting.is_empty() {
            self.pipe = None;
        }
    }

    pub fn give_credit(&mut self, process_id: u32, outbox: &mut Outbox) {
        let due = self.owed >= CREDIT_STEP || (self.owed > 0 && self.waiting.is_empty());
        if self.closed_untold || (due && !self.end) {
            let (bytes, closed) = (core::mem::take(&mut self.owed), core::mem::take(&mut self.closed_untold));
            self.allowed += bytes;
            outbox.push(Frame::InputCredit(InputCredit {
                process_id,
                bytes,
                closed,
            }));
        }
    }
}

#[cfg(test)]
#[path = "streams_test.rs"]
mod tests;
