//! The conversation with the worker: one thread, one poll over everything there is.
use crate::channel::Channel;
use crate::failure::Failure;
use crate::kernel;
use crate::outbox::Outbox;
use crate::process::{Process, SLOTS, entry};
use crate::programs::Programs;
use crate::seccomp;
use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use caisson_frame::FrameError;
use caisson_frame::agent::{Exec, Hello, HostFrame, Mount, Ready, Rehearse, Setup, agent_frame, failed::Step, host_frame::Frame};
use rustix::io::Errno;

pub const PROTOCOL: u32 = 1;
/// Frames that wait for a worker who does not read: then it is not read from either.
const BACKLOG_BYTES: usize = 64 << 10;
/// Each has a nested init, for which there is room in the cgroup that the launcher keeps the agent in.
const MAX_PROCESSES: usize = 30;

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("channel: {0}")]
    Channel(#[from] FrameError),
    #[error("channel: {0}")]
    Stream(Errno),
    #[error("the worker broke the protocol: {0}")]
    Violation(#[from] Violation),
    #[error("descriptors from the launcher: {0}")]
    Inherited(Errno),
    #[error("accept: {0}")]
    Accept(Errno),
    #[error("poll: {0}")]
    Poll(Errno),
    #[error("pipe of a process: {0}")]
    Pipe(Errno),
    #[error("wait for a nested init: {0}")]
    Wait(Errno),
    #[error("a nested init ended without telling how its main process did")]
    InitLost,
    #[error("make the agent undumpable: {0}")]
    Undumpable(Errno),
    #[error("sethostname: {0}")]
    Hostname(Errno),
    #[error("{0}: {1}")]
    Boot(String, Errno),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("a frame of no known kind")]
    UnknownFrame,
    #[error("Setup must come once, and before any program; Mount and Rehearse, to a machine, once each before Setup")]
    SetupOrder,
    #[error("process_id {0} lives already")]
    ProcessExists(u32),
    #[error("signal {0}, must be 1 to 64")]
    SignalNumber(u32),
    #[error("credit for no known stream")]
    UnknownStream,
    #[error("credit beyond 64 bits")]
    CreditOverflow,
    #[error("input that does not follow what came before")]
    InputOffset,
    #[error("input beyond its credit")]
    InputCredit,
}

pub struct Session<P> {
    channel: Channel,
    programs: P,
    outbox: Outbox,
    processes: Vec<Process>,
    mounted: bool,
    rehearsed: bool,
    set_up: bool,
    turn: usize,
}

impl<P: Programs> Session<P> {
    pub fn new(channel: Channel, programs: P) -> Self {
        let mut outbox = Outbox::default();
        let agent_version = env!("CARGO_PKG_VERSION").to_owned();
        outbox.push(agent_frame::Frame::Hello(Hello {
            protocol: PROTOCOL,
            agent_version,
            seccomp_digest: seccomp::LIST.to_vec(),
        }));
        Self {
            channel,
            programs,
            outbox,
            processes: Vec::new(),
            mounted: false,
            rehearsed: false,
            set_up: false,
            turn: 0,
        }
    }

    /// Until the worker closes the channel.
    pub fn serve(mut self) -> Result<(), AgentError> {
        while self.turn()? {}
        Ok(())
    }

    /// False when the worker closed the channel.
    pub fn turn(&mut self) -> Result<bool, AgentError> {
        self.channel.flush(&mut self.outbox)?;
        self.processes.iter_mut().for_each(Process::dismiss);
        let ready = self.wait()?;
        if ready[0].revents & !libc::POLLOUT != 0 && !self.receive()? {
            return Ok(false);
        }
        self.turn = self.turn.wrapping_add(1);
        self.advance(&ready[1..])?;
        Ok(true)
    }

    fn wait(&self) -> Result<Vec<libc::pollfd>, AgentError> {
        let mut events = if self.outbox.is_empty() { 0 } else { libc::POLLOUT };
        if self.outbox.backlog() < BACKLOG_BYTES {
            events |= libc::POLLIN;
        }
        let mut wanted = vec![entry(Some(self.channel.descriptor()), events)];
        wanted.extend(self.processes.iter().flat_map(|process| process.wanted(&self.outbox)));
        let restless = self.processes.iter().any(|process| process.restless(&self.outbox));
        kernel::poll(&mut wanted, !restless).map_err(AgentError::Poll)?;
        Ok(wanted)
    }

    /// `ready` has no entries for a process that was started since.
    fn advance(&mut self, ready: &[libc::pollfd]) -> Result<(), AgentError> {
        for (process, ready) in self.processes.iter_mut().zip(ready.chunks_exact(SLOTS)) {
            process.advance(ready, self.turn, &mut self.outbox)?;
        }
        self.processes.retain(|process| !process.is_over());
        Ok(())
    }

    /// False when the worker closed the channel.
    fn receive(&mut self) -> Result<bool, AgentError> {
        let open = self.channel.read()?;
        while let Some(HostFrame { frame }) = self.channel.pull()? {
            self.handle(frame.ok_or(Violation::UnknownFrame)?)?;
        }
        Ok(open)
    }

    fn handle(&mut self, frame: Frame) -> Result<(), AgentError> {
        if matches!(frame, Frame::Setup(_) | Frame::Mount(_) | Frame::Rehearse(_)) == self.set_up {
            return Err(Violation::SetupOrder.into());
        }
        match frame {
            Frame::Mount(mount) => self.mount(&mount)?,
            Frame::Rehearse(rehearse) => self.rehearse(rehearse)?,
            Frame::Setup(setup) => self.set_up(&setup)?,
            Frame::Exec(exec) => self.execute(&exec)?,
            Frame::Signal(signal) if !(1..=64).contains(&signal.number) => Err(Violation::SignalNumber(signal.number))?,
            // What is for a process that is gone crossed its end on the way.
            Frame::Signal(signal) => self
                .process(signal.process_id)
                .map_or((), |process| process.signal(signal.number, signal.group)),
            Frame::Input(input) => self
                .process(input.process_id)
                .map_or(Ok(()), |process| process.input(input))?,
            Frame::Credit(credit) => {
                self.process(credit.process_id)
                    .map_or(Ok(()), |process| process.credit(credit.stream, credit.bytes))?;
            }
        }
        Ok(())
    }

    fn process(&mut self, id: u32) -> Option<&mut Process> {
        self.processes
            .iter_mut()
            .find(|process| process.id == id && !process.is_told())
    }

    fn mount(&mut self, mount: &Mount) -> Result<(), Violation> {
        if self.mounted || !self.programs.mount(mount) {
            return Err(Violation::SetupOrder);
        }
        self.mounted = true;
        self.outbox.push(agent_frame::Frame::Ready(Ready {}));
        Ok(())
    }

    fn rehearse(&mut self, rehearse: Rehearse) -> Result<(), Violation> {
        let setup = rehearse.setup.unwrap_or_default();
        if self.rehearsed || !self.programs.rehearse(&setup) {
            return Err(Violation::SetupOrder);
        }
        self.rehearsed = true;
        self.outbox.push(agent_frame::Frame::Ready(Ready {}));
        Ok(())
    }

    fn set_up(&mut self, setup: &Setup) -> Result<(), AgentError> {
        self.set_up = true;
        if self.programs.set_up(setup)? {
            self.outbox.push(agent_frame::Frame::Ready(Ready {}));
        }
        Ok(())
    }

    fn execute(&mut self, exec: &Exec) -> Result<(), AgentError> {
        if self.process(exec.process_id).is_some() {
            return Err(Violation::ProcessExists(exec.process_id).into());
        }
        match self.start(exec) {
            Ok(process) => self.processes.push(process),
            Err(failure) => self
                .outbox
                .push(agent_frame::Frame::Failed(failure.into_frame(exec.process_id))),
        }
        Ok(())
    }

    fn start(&mut self, exec: &Exec) -> Result<Process, Failure> {
        check(exec)?;
        if self.processes.len() == MAX_PROCESSES {
            let message = format!("exec: this sandbox has {MAX_PROCESSES} processes, at most");
            return Err(Failure::explained(Step::Request, Errno::AGAIN, message));
        }
        self.programs.start(exec)
    }
}

/// What the kernel or an image would have to say otherwise, and less clearly.
fn check(exec: &Exec) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::explained(Step::Request, Errno::INVAL, message));
    if exec.args.is_empty() {
        return refuse("args: empty".into());
    }
    let single = [("cwd", &exec.cwd), ("user", &exec.user)].map(|(name, value)| (name.to_owned(), value));
    let args = exec
        .args
        .iter()
        .enumerate()
        .map(|(index, arg)| (format!("args[{index}]"), arg));
    let env = exec
        .env
        .iter()
        .enumerate()
        .map(|(index, entry)| (format!("env[{index}]"), entry));
    if let Some((field, _)) = single
        .into_iter()
        .chain(args)
        .chain(env)
        .find(|(_, value)| value.contains('\0'))
    {
        return refuse(format!("{field}: holds a NUL byte"));
    }
    if let Some(index) = exec.env.iter().position(|entry| entry.find('=').is_none_or(|at| at == 0)) {
        return refuse(format!("env[{index}]: must be NAME=value"));
    }
    if !exec.cwd.starts_with('/') {
        return refuse("cwd: must be absolute".into());
    }
    if exec.rlimits.is_none_or(|limits| limits.open_files == 0) {
        return refuse("rlimits.open_files: missing".into());
    }
    Ok(())
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
