//! The conversation with the worker: one thread, one poll over everything there is.
use crate::channel::Channel;
use crate::failure::{At, Failure};
use crate::kernel;
use crate::microvm::Guest;
use crate::outbox::Outbox;
use crate::payload::{self, Prepared, Walls};
use crate::planted::is_missing;
use crate::process::{Process, SLOTS, entry};
use crate::seccomp;
use caisson_frame::FrameError;
use caisson_frame::agent::{Exec, Hello, HostFrame, Mount, Ready, Setup, agent_frame, failed::Step, host_frame::Frame};
use rustix::fs::stat;
use rustix::io::Errno;
use rustix::system::sethostname;
use std::os::fd::OwnedFd;
use std::rc::Rc;

pub const PROTOCOL: u32 = 1;
/// Frames that wait for a worker who does not read: then it is not read from either.
const BACKLOG_BYTES: usize = 64 << 10;
const MAX_PROCESSES: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("channel: {0}")]
    Channel(#[from] FrameError),
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
    #[error("Setup must come once, and before any program; Mount, to a machine, once before Setup")]
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

pub struct Session {
    channel: Channel,
    walls: Walls,
    /// Made before anything is known of a client, for the first `Exec`.
    prepared: Option<Result<Prepared, Failure>>,
    outbox: Outbox,
    processes: Vec<Process>,
    mounted: bool,
    set_up: bool,
    turn: usize,
    /// In a microVM.
    guest: Option<Rc<Guest>>,
    /// In a container, until the launcher has said by it that the root is mounted.
    unrooted: Option<OwnedFd>,
    /// The machine could not be set up: nothing can be executed.
    unusable: Option<Failure>,
}

impl Session {
    pub fn new(channel: Channel, walls: Walls, prepared: Result<Prepared, Failure>, guest: Option<Guest>) -> Self {
        let (prepared, outbox) = (Some(prepared), Outbox::default());
        Self {
            channel,
            walls,
            prepared,
            outbox,
            processes: Vec::new(),
            mounted: false,
            set_up: false,
            turn: 0,
            guest: guest.map(Rc::new),
            unrooted: None,
            unusable: None,
        }
    }

    /// The first program waits until `rooted`, an eventfd, can be read.
    pub fn after(self, rooted: OwnedFd) -> Self {
        Self {
            unrooted: Some(rooted),
            ..self
        }
    }

    /// Until the worker closes the channel.
    pub fn serve(mut self) -> Result<(), AgentError> {
        let agent_version = env!("CARGO_PKG_VERSION").to_owned();
        self.outbox.push(agent_frame::Frame::Hello(Hello {
            protocol: PROTOCOL,
            agent_version,
            seccomp_digest: seccomp::LIST.to_vec(),
        }));
        loop {
            self.channel.flush(&mut self.outbox)?;
            let ready = self.wait()?;
            if ready[0].revents & !libc::POLLOUT != 0 && !self.receive()? {
                return Ok(());
            }
            self.turn = self.turn.wrapping_add(1);
            self.advance(&ready[1..])?;
        }
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
        if matches!(frame, Frame::Setup(_) | Frame::Mount(_)) == self.set_up {
            return Err(Violation::SetupOrder.into());
        }
        match frame {
            Frame::Mount(mount) => self.mount(&mount)?,
            Frame::Setup(setup) => self.set_up(&setup)?,
            Frame::Exec(exec) => self.execute(&exec)?,
            Frame::Signal(signal) if !(1..=64).contains(&signal.number) => Err(Violation::SignalNumber(signal.number))?,
            // What is for a process that is gone crossed its end on the way.
            Frame::Signal(signal) => self
                .process(signal.process_id)
                .map_or((), |process| process.signal(signal.number)),
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
        let guest = self.guest.as_ref().filter(|_| !self.mounted);
        self.unusable = guest.ok_or(Violation::SetupOrder)?.mount(mount).err();
        self.mounted = true;
        self.outbox.push(agent_frame::Frame::Ready(Ready {}));
        Ok(())
    }

    fn set_up(&mut self, setup: &Setup) -> Result<(), AgentError> {
        self.set_up = true;
        if let Some(guest) = &self.guest {
            let failure = guest.set_up(setup).err();
            self.unusable = self.unusable.take().or(failure);
            self.outbox.push(agent_frame::Frame::Ready(Ready {}));
        }
        if is_missing("namespace-uts") {
            return Ok(());
        }
        sethostname(setup.hostname.as_bytes()).map_err(AgentError::Hostname)
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
        self.unusable.take().map_or(Ok(()), Err)?;
        if self.processes.len() == MAX_PROCESSES {
            let message = format!("exec: this sandbox has {MAX_PROCESSES} processes, at most");
            return Err(Failure::explained(Step::Request, Errno::AGAIN, message));
        }
        if let Some(rooted) = self.unrooted.take() {
            // A launcher that cannot mount it ends this process.
            rustix::io::read(&rooted, &mut [0; 8]).at(Step::Root, "wait for the root")?;
        }
        let root = clone_root()?;
        let prepared = self.prepared.take().unwrap_or_else(|| payload::prepare(&self.walls))?;
        Process::start(exec, prepared, root, self.guest.clone())
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

/// A copy of the mount, for a mount namespace that was made before it was there.
fn clone_root() -> Result<OwnedFd, Failure> {
    let root = payload::ROOT;
    if stat(root).at(Step::Root, root)?.st_dev == stat("/").at(Step::Root, "/")?.st_dev {
        return Err(Failure::explained(
            Step::Root,
            Errno::NXIO,
            format!("{root}: nothing is mounted there"),
        ));
    }
    payload::detached(root)
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
