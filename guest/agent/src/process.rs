//! One process of the client, as the agent sees it: from its order to start to its last byte.
use crate::failure::{At, Failure};
use crate::io;
use crate::kernel;
use crate::microvm::Guest;
use crate::outbox::Outbox;
use crate::outcome;
use crate::payload::Prepared;
use crate::rights;
use crate::session::{AgentError, Violation};
use crate::signals::{self, Signals};
use crate::streams::{InputStream, OutputStream};
use alloc::rc::Rc;
use alloc::vec::Vec;
use caisson_frame::agent::{Exec, Input, Started, Stream, agent_frame::Frame, failed::Step};
use prost::Message;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::pipe::PIPE_BUF;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Entries of a process in the set that is polled.
pub const SLOTS: usize = 6;
const READABLE: i16 = libc::POLLIN | libc::POLLHUP | libc::POLLERR;

pub struct Process {
    pub id: u32,
    phase: Phase,
    /// Of the main process: a signal goes to no other that took its number.
    main: OwnedFd,
    /// None once the nested init was reaped.
    init: Option<OwnedFd>,
    /// None once the nested init may end, too.
    reports: Option<OwnedFd>,
    /// Wait status of the main process; reported when every other process of its pid namespace is gone too.
    status: Option<i32>,
    outcome: OwnedFd,
    stdin: InputStream,
    outputs: [OutputStream; 2],
    guest: Option<Rc<Guest>>,
}

enum Phase {
    /// What `outcome` said so far, and what waits for the program.
    Starting {
        said: Vec<u8>,
        signals: Signals,
    },
    Running,
    /// `Failed` or `Exited` was sent.
    Told,
}

impl Process {
    pub fn start(exec: &Exec, prepared: Prepared, root: OwnedFd, guest: Option<Rc<Guest>>) -> Result<Self, Failure> {
        let main = receive_main(&prepared)?;
        io::write_all(&prepared.request, &exec.encode_to_vec()).at(Step::Clone, "write request")?;
        rights::send(&prepared.orders, &root).at(Step::Clone, "order the start")?;
        let credit = exec.output_credit_bytes;
        Ok(Self {
            id: exec.process_id,
            phase: Phase::Starting {
                said: Vec::new(),
                signals: Signals::default(),
            },
            main,
            init: Some(prepared.init),
            reports: Some(prepared.reports),
            status: None,
            outcome: prepared.outcome,
            stdin: InputStream::new(exec.stdin.then_some(prepared.stdin)),
            outputs: [
                OutputStream::new(Stream::Stdout, prepared.stdout, credit),
                OutputStream::new(Stream::Stderr, prepared.stderr, credit),
            ],
            guest,
        })
    }

    pub fn input(&mut self, input: Input) -> Result<(), Violation> {
        self.stdin.take(input)
    }

    pub fn credit(&mut self, stream: i32, bytes: u64) -> Result<(), Violation> {
        let index = match Stream::try_from(stream) {
            Ok(Stream::Stdout) => 0,
            Ok(Stream::Stderr) => 1,
            _ => return Err(Violation::UnknownStream),
        };
        self.outputs[index].add_credit(bytes)
    }

    pub fn signal(&mut self, number: u32, group: bool) {
        match &mut self.phase {
            Phase::Starting { signals, .. } => signals.add(number, group),
            // It may have ended meanwhile: then there is nobody to signal, and nothing to tell.
            Phase::Running if group => drop(signals::to_group(self.main.as_fd(), number)),
            Phase::Running => drop(kernel::send_signal(self.main.as_fd(), number)),
            Phase::Told => {}
        }
    }

    pub fn wanted(&self, outbox: &Outbox) -> [libc::pollfd; SLOTS] {
        let starting = matches!(self.phase, Phase::Starting { .. });
        let reporting = self.status.is_none() && !self.is_told();
        let output = |index: usize| self.outputs[index].wanted(outbox).filter(|_| !starting);
        let running = matches!(self.phase, Phase::Running);
        let stdin = self.stdin.wanted().filter(|_| running);
        let stdin_events = if stdin.is_some_and(|(_, writing)| writing) {
            libc::POLLOUT
        } else {
            0
        };
        [
            // Its end, which is told unasked; what comes before it is read then.
            entry(starting.then(|| self.outcome.as_fd()), 0),
            entry(self.reports.as_ref().filter(|_| reporting).map(AsFd::as_fd), libc::POLLIN),
            entry(self.init.as_ref().map(AsFd::as_fd), libc::POLLIN),
            entry(stdin.map(|(pipe, _)| pipe), stdin_events),
            entry(output(0), libc::POLLIN),
            entry(output(1), libc::POLLIN),
        ]
    }

    /// Something is left to do that no descriptor announces.
    pub fn restless(&self, outbox: &Outbox) -> bool {
        matches!(self.phase, Phase::Running)
            && self.status.is_some()
            && self.outputs.iter().any(|output| output.wanted(outbox).is_some())
    }

    /// `turn` alternates, so that neither stream starves the other.
    pub fn advance(&mut self, ready: &[libc::pollfd], turn: usize, outbox: &mut Outbox) -> Result<(), AgentError> {
        if ready[0].revents != 0 {
            self.hear_outcome(outbox)?;
        }
        if ready[1].revents != 0 {
            self.hear_report()?;
        }
        if ready[2].revents != 0 {
            self.reap()?;
        }
        // A program may close its input before it was heard that it runs: the worker is told that first.
        if matches!(self.phase, Phase::Running) {
            self.feed(&ready[3], outbox)?;
            self.read_outputs(&ready[4..], turn, outbox)?;
            self.tell_end(outbox);
        }
        Ok(())
    }

    fn feed(&mut self, ready: &libc::pollfd, outbox: &mut Outbox) -> Result<(), AgentError> {
        if ready.revents & libc::POLLERR != 0 {
            self.stdin.reader_gone();
        }
        self.stdin.write().map_err(AgentError::Pipe)?;
        self.stdin.give_credit(self.id, outbox);
        Ok(())
    }

    fn read_outputs(&mut self, ready: &[libc::pollfd], turn: usize, outbox: &mut Outbox) -> Result<(), AgentError> {
        let writers_gone = self.status.is_some();
        for index in [turn % 2, (turn + 1) % 2] {
            if writers_gone || ready[index].revents & READABLE != 0 {
                let read = self.outputs[index].read(self.id, outbox, writers_gone);
                read.map_err(AgentError::Pipe)?;
            }
        }
        Ok(())
    }

    /// Its end, or that it never began, was told: its number may be used again.
    pub fn is_told(&self) -> bool {
        matches!(self.phase, Phase::Told)
    }

    /// Once its end was sent: the nested init waits for that.
    pub fn dismiss(&mut self) {
        if self.is_told() {
            self.reports = None;
        }
    }

    pub fn is_over(&self) -> bool {
        self.is_told() && self.init.is_none()
    }

    fn hear_outcome(&mut self, outbox: &mut Outbox) -> Result<(), AgentError> {
        let Phase::Starting { said, signals } = &mut self.phase else {
            return Ok(());
        };
        let mut buffer = [0; PIPE_BUF];
        loop {
            match rustix::io::read(&self.outcome, &mut buffer) {
                Ok(0) => break,
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(errno) => return Err(AgentError::Pipe(errno)),
            }
        }
        let signals = core::mem::take(signals);
        match outcome::judge(said) {
            Ok(()) => self.begin(&signals, outbox),
            Err(failure) => {
                outbox.push(Frame::Failed(failure.into_frame(self.id)));
                self.phase = Phase::Told;
                self.outputs.iter_mut().for_each(OutputStream::close);
            }
        }
        Ok(())
    }

    fn begin(&mut self, signals: &Signals, outbox: &mut Outbox) {
        outbox.push(Frame::Started(Started {
            process_id: self.id,
            input_credit_bytes: self.stdin.initial_credit(),
        }));
        self.phase = Phase::Running;
        signals.each(|number, group| self.signal(number, group));
    }

    fn reap(&mut self) -> Result<(), AgentError> {
        let Some(init) = &self.init else { return Ok(()) };
        if waitid(WaitId::PidFd(init.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
            .map_err(AgentError::Wait)?
            .is_some()
        {
            self.init = None;
        }
        Ok(())
    }

    fn hear_report(&mut self) -> Result<(), AgentError> {
        let Some(reports) = &self.reports else { return Ok(()) };
        let mut status = [0; 4];
        match recv(reports, &mut status, RecvFlags::DONTWAIT) {
            Ok((_, 4)) => self.status = Some(i32::from_ne_bytes(status)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => return Err(AgentError::InitLost),
        }
        Ok(())
    }

    fn tell_end(&mut self, outbox: &mut Outbox) {
        if let Some(status) = self.status
            && self.outputs.iter().all(OutputStream::ended)
        {
            let counters = self.guest.as_ref().map(|guest| guest.counters());
            outbox.push(Frame::Exited(outcome::exited(self.id, status, counters)));
            self.phase = Phase::Told;
        }
    }
}

pub fn entry(descriptor: Option<BorrowedFd<'_>>, events: i16) -> libc::pollfd {
    libc::pollfd {
        fd: descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd()),
        events,
        revents: 0,
    }
}

/// The nested init's first report. Its end instead means that it did not get that far, and said on `outcome` why.
fn receive_main(prepared: &Prepared) -> Result<OwnedFd, Failure> {
    if let Some(main) = rights::receive(&prepared.reports).at(Step::Clone, "receive main process")? {
        return Ok(main);
    }
    let mut said = [0; PIPE_BUF];
    let count = rustix::io::read(&prepared.outcome, &mut said).unwrap_or(0);
    outcome::judge(&said[..count])?;
    Err(Failure::new(Step::Clone, "receive main process", Errno::PIPE))
}
