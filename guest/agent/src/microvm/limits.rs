//! The program's cgroup inside the machine: the machine has more memory than the program may use, for the kernel and the agent need some.
use super::boot::Boot;
use crate::failure::{At, Failure};
use crate::kernel;
use crate::session::AgentError;
use caisson_frame::agent::{Counters, Machine, failed::Step};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::{Errno, read, write};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::os::fd::OwnedFd;
use std::thread::available_parallelism;

const CPU_PERIOD_US: u64 = 100_000;
const BESIDE: &str = "rehearsal";

pub struct Payload {
    root: OwnedFd,
    folder: OwnedFd,
    /// Of the machine. To find out takes the library longer than all that is done here for a run.
    processors: u64,
}

impl Payload {
    /// Of a tree that is mounted nowhere: no program will find it.
    pub fn make() -> Result<Self, AgentError> {
        Self::furnish().boot("cgroups")
    }

    fn furnish() -> Result<Self, Errno> {
        let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        put(&root, "cgroup.subtree_control", "+memory +pids +cpu")?;
        let processors = available_parallelism().map_err(|_| kernel::last_errno())?.get() as u64;
        Self::named("payload", root, processors)
    }

    fn named(name: &str, root: OwnedFd, processors: u64) -> Result<Self, Errno> {
        mkdirat(&root, name, Mode::from_raw_mode(0o755))?;
        let folder = openat(&root, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        // The first that finds no memory takes all others along, as the launcher does with a container.
        put(&folder, "memory.oom.group", "1")?;
        Ok(Self {
            root,
            folder,
            processors,
        })
    }

    /// One for a program that is not the client's, and so adds nothing to what the client's used.
    pub fn beside(&self) -> Result<Self, Failure> {
        let root = self.root.try_clone().map_err(|_| kernel::last_errno());
        root.and_then(|root| Self::named(BESIDE, root, self.processors))
            .at(Step::Cgroup, BESIDE)
    }

    /// Nothing is in it any more.
    pub fn remove(self) -> Result<(), Failure> {
        unlinkat(&self.root, BESIDE, AtFlags::REMOVEDIR).at(Step::Cgroup, format_args!("remove {BESIDE}"))
    }

    pub fn door(&self) -> Result<OwnedFd, AgentError> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&self.folder, "cgroup.procs", flags, Mode::empty()).boot("cgroup.procs")
    }

    pub fn limit(&self, machine: &Machine) -> Result<(), Failure> {
        let mut limits = vec![
            ("memory.max", machine.memory_bytes.to_string()),
            ("pids.max", machine.pids.to_string()),
        ];
        // A quota of all that there is limits nothing; and the first one has the kernel patch its scheduler, which an emulator has to
        // translate anew.
        if self.processors * 1_000 > machine.cpu_millis {
            let quota = machine.cpu_millis.saturating_mul(CPU_PERIOD_US) / 1_000;
            limits.push(("cpu.max", format!("{quota} {CPU_PERIOD_US}")));
        }
        for (file, value) in limits {
            put(&self.folder, file, &value).at(Step::Cgroup, format_args!("write {file}"))?;
        }
        Ok(())
    }

    pub fn counters(&self) -> Counters {
        Counters {
            oom_kills: self.field("memory.events", "oom_kill"),
            pids_denied: self.field("pids.events", "max"),
            memory_peak_bytes: self.number("memory.peak"),
            pids_peak: self.number("pids.peak"),
            ..Counters::default()
        }
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.read(file).ok()?.trim_end().parse().ok()
    }

    fn field(&self, file: &str, name: &str) -> Option<u64> {
        let text = self.read(file).ok()?;
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(field, _)| *field == name)?.1.parse().ok()
    }

    fn read(&self, file: &str) -> Result<String, Errno> {
        let opened = openat(&self.folder, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = [0; 512];
        let length = read(opened, &mut text)?;
        Ok(String::from_utf8_lossy(&text[..length]).into_owned())
    }
}

fn put(folder: &OwnedFd, file: &str, value: &str) -> Result<(), Errno> {
    let opened = openat(folder, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write(opened, value.as_bytes()).map(drop)
}
