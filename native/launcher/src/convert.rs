//! A conversion: the converter in a sandbox of its own kind, which sees its input, its output, and layers of the store at most. What it
//! writes has no name until the launcher publishes it, and is published only after the converter is gone.
use crate::cgroup::{Group, Limits};
use crate::channel::Channel;
use crate::child::{Confinement, Executable, Plan};
use crate::fold::Fold;
use crate::keeping::keys_of;
use crate::launcher::Launcher;
use crate::layer::Layer;
use crate::layer_key::LayerKey;
use crate::mounts;
use crate::overlay;
use crate::peer::Peer;
use crate::process::Process;
use crate::spec::{self, Convert};
use crate::step::{At, Failure, Step};
use crate::uids::UidRange;
use caisson_frame::launch::{Published, event::Event, request::Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::io::Errno;
use rustix::process::Resource;
use rustix::thread::CapabilitySet;
use std::ffi::{CString, c_char};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMITS: Limits = Limits {
    // It has two threads: one decompresses, the other writes.
    cpu_millis: Some(2_000),
    memory_bytes: 256 << 20,
    pids: 16,
};
/// For a whole layer, its download included.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// After its result, for the converter to exit.
const EXIT_PATIENCE: Duration = Duration::from_secs(30);

/// What the converter is asked to do.
pub struct Work {
    key: LayerKey,
    words: Vec<String>,
    /// Mounted at /lower as one tree.
    below: Vec<LayerKey>,
    /// Handed over as files, behind output and spool.
    inputs: Vec<LayerKey>,
    /// Of output and spool each.
    file_bytes: u64,
}

impl From<Convert> for Work {
    fn from(convert: Convert) -> Self {
        let (bytes, entries) = (convert.max_bytes.to_string(), convert.max_entries.to_string());
        let mut words = vec!["--diff-id", &convert.diff_id, "--compression", convert.compression];
        words.extend(["--max-bytes", &bytes, "--max-entries", &entries]);
        if !convert.lowers.is_empty() {
            words.extend(["--lower", "/lower"]);
        }
        Self {
            words: words.into_iter().map(str::to_owned).collect(),
            key: convert.key,
            below: convert.lowers,
            inputs: Vec::new(),
            // The layer, and what it takes over from those below.
            file_bytes: room(convert.max_bytes.saturating_mul(2), convert.max_entries),
        }
    }
}

impl From<Fold> for Work {
    fn from(fold: Fold) -> Self {
        let (layers, bytes, entries) = (fold.layers.len(), fold.max_bytes, fold.max_entries);
        let words = format!("fold --layers {layers} --max-bytes {bytes} --max-entries {entries}");
        Self {
            words: words.split(' ').map(str::to_owned).collect(),
            key: fold.key,
            below: Vec::new(),
            inputs: fold.layers,
            file_bytes: room(bytes, entries),
        }
    }
}

/// For files, and an inode for every entry.
fn room(bytes: u64, entries: u64) -> u64 {
    bytes.saturating_add(entries * 1_024 + (64 << 20))
}

/// Disposed of in the order of the fields.
pub struct Conversion {
    process: Process,
    /// Of its /lower; their mounts are clones, but the layers must not be removed from the store meanwhile.
    _lowers: Vec<Arc<Layer>>,
    group: Group,
    pub channel: Channel,
    _uids: UidRange,
    output: OwnedFd,
    key: LayerKey,
    pub id: String,
    launcher: &'static Launcher,
    deadline: Instant,
}

impl Conversion {
    pub fn start(launcher: &'static Launcher, work: &Work) -> Result<Self, Failure> {
        let id = launcher.new_id();
        let uids = launcher.uids.take()?;
        let (channel, listener) = Channel::make(&launcher.instance, &id)?;
        let group = launcher.cgroups.group(&id)?;
        group.payload.limit(&LIMITS)?;
        let (output, spool) = (launcher.layers.store.new_file()?, spool(launcher)?);
        for file in [&output, &spool] {
            fchown(file, Some(Uid::from_raw(uids.first)), Some(Gid::from_raw(uids.first))).at(Step::OpenOutput)?;
        }
        let lowers = work.below.iter().map(|key| launcher.layers.take(key));
        let lowers = lowers.collect::<Result<Vec<_>, _>>()?;
        let inputs = work.inputs.iter().map(|key| launcher.layers.store.open(key));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let files: Vec<&OwnedFd> = [&listener, &output, &spool].into_iter().chain(&inputs).collect();
        let attach = |process: &Process| attach_lowers(launcher, &id, process, &lowers);
        let process = start_converter(launcher, work, &group, &uids, &files, attach)?;
        let deadline = Instant::now() + PATIENCE;
        Ok(Self {
            process,
            _lowers: lowers,
            group,
            channel,
            _uids: uids,
            output,
            key: work.key.clone(),
            id,
            launcher,
            deadline,
        })
    }

    pub fn follow(&mut self, peer: &mut Peer) -> Result<(), Failure> {
        let publish = match self.next(peer)? {
            None => return Ok(()),
            Some(Request::Publish(publish)) => publish,
            Some(_) => return spec::refuse(format_args!("a conversion takes publish")),
        };
        let published = self.publish(publish.store_bytes)?;
        let is_stored = published.lacking_bytes == 0;
        peer.send(Event::Published(published));
        if is_stored {
            // Mounted now, it costs its first run nothing. Where that fails, the run will say so.
            let _ = self.launcher.layers.take(&self.key);
        }
        peer.await_close();
        Ok(())
    }

    fn next(&self, peer: &mut Peer) -> Result<Option<Request>, Failure> {
        loop {
            if let Some(request) = peer.pull()? {
                return Ok(Some(request));
            }
            if !wait(&peer, self.deadline)? {
                return Err(Errno::TIME).about(Step::Converter, format_args!("not done after {} s", PATIENCE.as_secs()));
            }
            if !peer.read()? {
                return Ok(None);
            }
        }
    }

    fn publish(&mut self, store_bytes: u64) -> Result<Published, Failure> {
        self.expect_success()?;
        let group = self.launcher.instance.worker.gid;
        let publication = self.launcher.layers.publish(&self.output, &self.key, group, store_bytes)?;
        Ok(Published {
            key: self.key.as_str().into(),
            stored_bytes: publication.stored_bytes,
            removed: keys_of(&publication.removed),
            lacking_bytes: publication.lacking_bytes,
        })
    }

    /// Its end is that of every process in its pid namespace: nothing can write to the output any more.
    fn expect_success(&mut self) -> Result<(), Failure> {
        if !wait(&self.process, Instant::now() + EXIT_PATIENCE)? {
            return Err(Errno::BUSY).about(Step::Converter, "still runs");
        }
        let status = self.process.wait()?;
        match (status.exit_status(), status.terminating_signal()) {
            (Some(0), _) => Ok(()),
            _ if self.group.payload.counters().oom_kills.is_some_and(|kills| kills > 0) => Err(Errno::NOMEM).about(
                Step::Converter,
                format_args!("needs more than {} MiB", LIMITS.memory_bytes >> 20),
            ),
            (Some(code), _) => Err(Errno::IO).about(Step::Converter, format_args!("exit code {code}")),
            (None, signal) => Err(Errno::IO).about(Step::Converter, format_args!("signal {}", signal.unwrap_or(0))),
        }
    }
}

fn spool(launcher: &Launcher) -> Result<OwnedFd, Failure> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    openat(&launcher.spool, ".", flags, Mode::from_raw_mode(0o600)).about(Step::OpenOutput, "spool")
}

fn start_converter(
    launcher: &Launcher,
    work: &Work,
    group: &Group,
    uids: &UidRange,
    descriptors: &[&OwnedFd],
    attach: impl FnOnce(&Process) -> Result<(), Failure>,
) -> Result<Process, Failure> {
    let words = words(work)?;
    let mut args: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    args.push(std::ptr::null());
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let plan = Plan {
        root: &launcher.roots.converter,
        mounts: &[],
        descriptors: &descriptors,
        program: Executable::Open(launcher.converter.file.as_fd()),
        args: &args,
        confinement: Some(Confinement {
            limits: &[(Resource::Fsize, work.file_bytes)],
            filter: None,
            // Files of the layers below belong to any id, and may be readable by none.
            capabilities: if work.below.is_empty() {
                CapabilitySet::empty()
            } else {
                CapabilitySet::DAC_READ_SEARCH
            },
        }),
        errors: None,
    };
    Process::spawn(&plan, &group.payload, uids, &launcher.namespaces, attach)
}

fn words(work: &Work) -> Result<Vec<CString>, Failure> {
    let words = ["caisson-converter"].into_iter().chain(work.words.iter().map(String::as_str));
    words
        .map(CString::new)
        .collect::<Result<_, _>>()
        .map_err(|_| Errno::INVAL)
        .about(Step::Converter, "arguments")
}

fn attach_lowers(launcher: &Launcher, id: &str, process: &Process, lowers: &[Arc<Layer>]) -> Result<(), Failure> {
    if lowers.is_empty() {
        return Ok(());
    }
    let mut stage = launcher.stages.stage(id)?;
    let tree = overlay::read_only(lowers, process.namespace("user")?, &mut stage)?;
    launcher
        .namespaces
        .inside(process.namespace("mnt")?, || mounts::attach(&tree, Path::new("/lower")))
}

/// False when the deadline came first.
fn wait(fd: &impl AsFd, deadline: Instant) -> Result<bool, Failure> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).at(Step::Converter),
        }
    }
}
