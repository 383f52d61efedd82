//! Each sandbox has two cgroups below `caisson-NAME`, so that limits of the payload never kill or starve its agent: on v2
//! `<id>/{agent,payload}`. On v1 the controllers have hierarchies of their own (`v1::place` tells what is where); the v2 tree is there on
//! every kernel, controllers or not, and is what kills, counts cpu time, and takes a child in at its clone. Helpers and VMMs have `<id>`.
mod folder;
mod folders;
mod group;
mod hierarchies;
mod pressure;
mod v1;
mod v2;

use crate::planted::is_missing;
use crate::step::Failure;
use caisson_frame::launch::Pressure;
use folder::Folder;
use rustix::event::PollFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub use group::{Group, Single};
pub use hierarchies::{Hierarchies, Version};

/// What an agent may use beside its payload: buffers of its channel and pipes, its own pages, those of its nested init.
const AGENT: Limits = Limits {
    cpu_millis: None,
    memory_bytes: 32 << 20,
    pids: 32,
};
const CPU_PERIOD_US: u64 = 100_000;

/// Where a v1 `Cgroup` has its folders; that of the v2 tree is the last.
const MEMORY: usize = 0;
const PIDS: usize = 1;
const CPU: usize = 2;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// None: as fast as it can.
    pub cpu_millis: Option<u64>,
    pub memory_bytes: u64,
    pub pids: u64,
}

impl Limits {
    fn without_planted(self) -> Self {
        let unless = |wall, limit, missing| if is_missing(wall) { missing } else { limit };
        Self {
            cpu_millis: self.cpu_millis.filter(|_| !is_missing("limit-cpu")),
            memory_bytes: unless("limit-memory", self.memory_bytes, 1 << 40),
            pids: unless("limit-pids", self.pids, 4096),
        }
    }
}

/// What the kernel took.
#[derive(Clone, Copy)]
pub struct Written {
    pub limits: Limits,
    /// None: this kernel cannot be told how much swap a cgroup may use.
    pub swap_bytes: Option<u64>,
}

/// Counters of a payload; absent where the kernel has none.
pub struct Counters {
    pub memory_peak_bytes: Option<u64>,
    pub pids_peak: Option<u64>,
    pub oom_kills: Option<u64>,
    pub pids_denied: Option<u64>,
    pub memory_limit_hits: Option<u64>,
    pub memory_oom_events: Option<u64>,
}

#[derive(Clone, Copy, Default)]
pub struct CpuTime {
    pub total_us: u64,
    pub user_us: u64,
    pub system_us: u64,
}

impl CpuTime {
    pub fn since(self, before: Self) -> Self {
        Self {
            total_us: self.total_us.saturating_sub(before.total_us),
            user_us: self.user_us.saturating_sub(before.user_us),
            system_us: self.system_us.saturating_sub(before.system_us),
        }
    }
}

/// Something to poll, ready at the first out-of-memory event.
pub struct OomEvent {
    pub fd: OwnedFd,
    pub flags: PollFlags,
    version: Version,
}

impl OomEvent {
    /// To be asked when it is ready: on v2 also other events make it so.
    pub fn fired(&self) -> bool {
        match self.version {
            Version::V1 => true,
            Version::V2 => v2::ran_out_of_memory(&self.fd),
        }
    }
}

/// The two halves of a sandbox's cgroups.
#[derive(Clone, Copy)]
pub enum Half {
    Agent,
    Payload,
}

impl Half {
    fn name(self) -> &'static str {
        match self {
            Half::Agent => "agent",
            Half::Payload => "payload",
        }
    }
}

/// One cgroup, in every hierarchy. On v2 all controllers have the same folder.
pub struct Cgroup {
    version: Version,
    /// On v1: its hierarchy is neither that of memory nor that of pids.
    cpu_apart: bool,
    folders: Vec<Folder>,
}

impl Cgroup {
    fn memory(&self) -> &Folder {
        &self.folders[MEMORY]
    }

    fn pids(&self) -> &Folder {
        &self.folders[if self.version == Version::V1 { PIDS } else { 0 }]
    }

    fn cpu(&self) -> &Folder {
        &self.folders[if self.version == Version::V1 { CPU } else { 0 }]
    }

    fn unified(&self) -> &Folder {
        &self.folders[self.folders.len() - 1]
    }

    /// `make` is given each hierarchy's number, and this cgroup's folder in it.
    fn child(&self, mut make: impl FnMut(usize, &Folder) -> Result<Folder, Failure>) -> Result<Self, Failure> {
        let folders = self
            .folders
            .iter()
            .enumerate()
            .map(|(hierarchy, folder)| make(hierarchy, folder));
        Ok(Self {
            version: self.version,
            cpu_apart: self.cpu_apart,
            folders: folders.collect::<Result<_, _>>()?,
        })
    }

    /// Where a clone puts its child at once.
    pub fn clone_target(&self) -> BorrowedFd<'_> {
        self.unified().as_fd()
    }

    /// Moves a child that waits; the v2 tree has it since its clone.
    pub fn take_in(&self, pid: i32) -> Result<(), Failure> {
        let separate = &self.folders[..self.folders.len() - 1];
        separate
            .iter()
            .try_for_each(|folder| folder.write("cgroup.procs", &pid.to_string()))
    }

    /// By these a process moves itself, with the launcher's permission to do so.
    pub fn doors(&self) -> Result<Vec<OwnedFd>, Failure> {
        self.folders
            .iter()
            .map(|folder| folder.open_to_write("cgroup.procs"))
            .collect()
    }

    pub fn limit(&self, limits: &Limits) -> Result<Written, Failure> {
        let limits = limits.without_planted();
        let swap_bytes = match self.version {
            Version::V1 => v1::limit(self, &limits),
            Version::V2 => v2::limit(self, &limits),
        }?;
        Ok(Written { limits, swap_bytes })
    }

    pub fn oom_event(&self) -> Result<OomEvent, Failure> {
        match self.version {
            Version::V1 => v1::oom_event(self),
            Version::V2 => v2::oom_event(self),
        }
    }

    pub fn counters(&self) -> Counters {
        match self.version {
            Version::V1 => v1::counters(self),
            Version::V2 => v2::counters(self),
        }
    }

    pub fn cpu_time(&self) -> Result<CpuTime, Failure> {
        let text = self.unified().read("cpu.stat")?;
        let field = |name| folder::field(&text, name).unwrap_or(0);
        Ok(CpuTime {
            total_us: field("usage_usec"),
            user_us: field("user_usec"),
            system_us: field("system_usec"),
        })
    }

    /// The v2 tree has it whoever keeps the limits, unless the kernel was built or started without.
    pub fn pressure(&self) -> Option<Pressure> {
        let stall = |file| pressure::parse(&self.unified().read(file).ok()?);
        let [cpu, memory, io] = ["cpu.pressure", "memory.pressure", "io.pressure"].map(stall);
        (cpu.is_some() || memory.is_some() || io.is_some()).then_some(Pressure { cpu, memory, io })
    }

    pub fn kill(&self) -> Result<(), Failure> {
        self.unified().write("cgroup.kill", "1")
    }

    pub fn is_empty(&self) -> Result<bool, Failure> {
        Ok(folder::field(&self.unified().read("cgroup.events")?, "populated") == Some(0))
    }
}
