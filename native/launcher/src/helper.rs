//! A program of ours that reads what others wrote: the converter and the lister. It has ids of its own, no capability, no network, a root
//! without files, and what the launcher opened for it: behind 3, where the worker connects, come the descriptors of its task.
use crate::cgroup::{Limits, Single};
use crate::channel::Channel;
use crate::launcher::Launcher;
use crate::layer::Layer;
use crate::mounts;
use crate::overlay;
use crate::peer::Peer;
use crate::plan::{Confinement, Executable, Plan};
use crate::process::Process;
use crate::program::Program;
use crate::step::{At, Failure, Step};
use crate::uids::UidRange;
use caisson_frame::launch::Prepared;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Resource;
use rustix::thread::CapabilitySet;
use std::ffi::{CString, c_char};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After its result, for it to exit.
const EXIT_PATIENCE: Duration = Duration::from_secs(30);

pub struct Task<'a> {
    /// Of which its failures are.
    pub step: Step,
    pub program: &'a Program,
    /// Its own name first.
    pub words: Vec<String>,
    pub limits: Limits,
    pub rlimits: &'a [(Resource, u64)],
    pub patience: Duration,
    pub descriptors: &'a [&'a OwnedFd],
    /// Mounted at /lower as one tree.
    pub below: Vec<Arc<Layer>>,
}

/// Disposed of in the order of the fields.
pub struct Helper {
    process: Process,
    /// Of its /lower; their mounts are clones, but the layers must not be removed from the store meanwhile.
    _below: Vec<Arc<Layer>>,
    group: Single,
    channel: Channel,
    _uids: UidRange,
    id: String,
    step: Step,
    memory_bytes: u64,
    deadline: Instant,
    patience: Duration,
}

impl Helper {
    pub fn start(launcher: &'static Launcher, uids: UidRange, task: Task<'_>) -> Result<Self, Failure> {
        let id = launcher.new_id();
        let (channel, listener) = Channel::make(&launcher.instance, &id)?;
        let group = launcher.cgroups.single(&id)?;
        group.payload.limit(&task.limits)?;
        Ok(Self {
            process: start(launcher, &task, &listener, &group, &uids, &id)?,
            _below: task.below,
            group,
            channel,
            _uids: uids,
            id,
            step: task.step,
            memory_bytes: task.limits.memory_bytes,
            deadline: Instant::now() + task.patience,
            patience: task.patience,
        })
    }

    pub fn prepared(&self) -> Prepared {
        Prepared {
            sandbox_id: self.id.clone(),
            channel_path: self.channel.path.to_string_lossy().into_owned(),
            ..Prepared::default()
        }
    }

    /// Until the worker says something, or leaves.
    pub fn await_word(&self, peer: &Peer) -> Result<(), Failure> {
        self.await_either(&[PollFd::new(&peer, PollFlags::IN)])
    }

    /// Until it ends, or the worker says something, or leaves.
    pub fn await_end_or_word(&self, peer: &Peer) -> Result<(), Failure> {
        self.await_either(&[PollFd::new(&peer, PollFlags::IN), PollFd::new(&self.process, PollFlags::IN)])
    }

    pub fn has_ended(&self) -> Result<bool, Failure> {
        wait(&[PollFd::new(&self.process, PollFlags::IN)], Instant::now()).at(self.step)
    }

    fn await_either(&self, awaited: &[PollFd<'_>]) -> Result<(), Failure> {
        if wait(awaited, self.deadline).at(self.step)? {
            return Ok(());
        }
        Err(Errno::TIME).about(self.step, format_args!("not done after {} s", self.patience.as_secs()))
    }

    /// Its end is that of every process in its pid namespace: nothing can write to its files any more.
    pub fn expect_success(&mut self) -> Result<(), Failure> {
        let step = self.step;
        if !wait(&[PollFd::new(&self.process, PollFlags::IN)], Instant::now() + EXIT_PATIENCE).at(step)? {
            return Err(Errno::BUSY).about(step, "still runs");
        }
        let status = self.process.wait()?;
        match (status.exit_status(), status.terminating_signal()) {
            (Some(0), _) => Ok(()),
            _ if self.group.payload.counters().oom_kills.is_some_and(|kills| kills > 0) => {
                Err(Errno::NOMEM).about(step, format_args!("needs more than {} MiB", self.memory_bytes >> 20))
            }
            (Some(code), _) => Err(Errno::IO).about(step, format_args!("exit code {code}")),
            (None, signal) => Err(Errno::IO).about(step, format_args!("signal {}", signal.unwrap_or(0))),
        }
    }
}

fn start(
    launcher: &Launcher,
    task: &Task<'_>,
    listener: &OwnedFd,
    group: &Single,
    uids: &UidRange,
    id: &str,
) -> Result<Process, Failure> {
    let words = task.words.iter().map(|word| CString::new(word.as_str()));
    let words: Vec<CString> = words
        .collect::<Result<_, _>>()
        .map_err(|_| Errno::INVAL)
        .about(task.step, "arguments")?;
    let mut args: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    args.push(std::ptr::null());
    let files = [listener].into_iter().chain(task.descriptors.iter().copied());
    let descriptors: Vec<BorrowedFd<'_>> = files.map(AsFd::as_fd).collect();
    let plan = Plan {
        root: &launcher.roots.helper,
        mounts: &[],
        descriptors: &descriptors,
        program: Executable::Open(task.program.file.as_fd()),
        args: &args,
        confinement: Some(Confinement {
            limits: task.rlimits,
            filter: None,
            // Files of the layers below belong to any id, and may be readable by none.
            capabilities: if task.below.is_empty() {
                CapabilitySet::empty()
            } else {
                CapabilitySet::DAC_READ_SEARCH
            },
        }),
        errors: None,
    };
    let attach = |process: &Process| attach_below(launcher, id, process, &task.below);
    Process::spawn(&plan, &group.payload, uids, &launcher.namespaces, attach)
}

fn attach_below(launcher: &Launcher, id: &str, process: &Process, below: &[Arc<Layer>]) -> Result<(), Failure> {
    if below.is_empty() {
        return Ok(());
    }
    let mut stage = launcher.stages.stage(id)?;
    let tree = overlay::read_only(below, process.namespace("user")?, &mut stage)?;
    launcher
        .namespaces
        .inside(process.namespace("mnt")?, || mounts::attach(&tree, Path::new("/lower")))
}

/// False when the deadline came first.
fn wait(awaited: &[PollFd<'_>], deadline: Instant) -> rustix::io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut awaited.to_vec(), Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
