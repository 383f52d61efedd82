//! The program's cgroup inside the machine: the machine has more memory than the program may use, for the kernel and the agent need some.
use super::boot::Boot;
use crate::failure::{At, Failure};
use crate::session::AgentError;
use alloc::string::{String, ToString};
use caisson_frame::agent::{Counters, Machine, failed::Step};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read, write};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

const BESIDE: &str = "rehearsal";

pub struct Payload {
    root: OwnedFd,
    folder: OwnedFd,
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
        // Of cpu no limit: as one group, however many the program's processes are, they leave the agent its part.
        put(&root, "cgroup.subtree_control", "+memory +pids +cpu")?;
        Self::named("payload", root)
    }

    fn named(name: &str, root: OwnedFd) -> Result<Self, Errno> {
        mkdirat(&root, name, Mode::from_raw_mode(0o755))?;
        let folder = openat(&root, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        // The first that finds no memory takes all others along, as the launcher does with a container.
        put(&folder, "memory.oom.group", "1")?;
        Ok(Self { root, folder })
    }

    /// One for a program that is not the client's, and so adds nothing to what the client's used.
    pub fn beside(&self) -> Result<Self, Failure> {
        fcntl_dupfd_cloexec(&self.root, 0)
            .and_then(|root| Self::named(BESIDE, root))
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

    /// The rate of cpu is the host's to keep: the guest does not see when its machine is held back, and would count that time once more.
    pub fn limit(&self, machine: &Machine) -> Result<(), Failure> {
        let limits = [
            ("memory.max", machine.memory_bytes.to_string()),
            ("pids.max", machine.pids.to_string()),
        ];
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
