//! A sandbox for one run: prepared ahead, started once, never used again.
use crate::cgroup::{Cgroup, CpuTime, Group, OomEvent};
use crate::channel::Channel;
use crate::launcher::Launcher;
use crate::layer::Layer;
use crate::mounts;
use crate::overlay::{self, Stage};
use crate::plan::{Executable, Mount, Plan};
#[cfg(feature = "planted")]
use crate::planted;
use crate::planted::is_missing;
use crate::process::Process;
use crate::scratch::{DiskUse, Scratch};
use crate::spec;
use crate::step::{At, Failure, Step};
use crate::uids::UidRange;
use crate::walls::Walls;
use caisson_frame::launch::{Enforced, Wall};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::write;
use rustix::mount::MountFlags;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

const MOUNTS: [Mount; 4] = [
    Mount {
        kind: c"proc",
        target: c"proc",
        flags: NOTHING_SPECIAL,
        options: None,
    },
    Mount {
        kind: c"sysfs",
        target: c"sys",
        flags: NOTHING_SPECIAL.union(MountFlags::RDONLY),
        options: None,
    },
    Mount {
        kind: c"devpts",
        target: c"dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        // The machine has 4,096 terminals for all sandboxes together.
        options: Some(c"newinstance,ptmxmode=0666,mode=0620,gid=5,max=64"),
    },
    Mount {
        kind: c"tmpfs",
        target: c"dev/shm",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        options: Some(c"mode=1777"),
    },
];
const NOTHING_SPECIAL: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Disposed of in the order of the fields, each of which cleans up after itself: first what runs, at last the ids, by then nobody's.
pub struct Sandbox {
    process: Process,
    mount_namespace: OwnedFd,
    user_namespace: OwnedFd,
    scratch: Scratch,
    /// Made ahead, of another size than the run wants.
    unused: Option<Scratch>,
    stage: Stage,
    layers: Vec<Arc<Layer>>,
    /// By which the agent learns that its root is mounted.
    rooted: OwnedFd,
    oom: OomEvent,
    group: Group,
    pub channel: Channel,
    uids: UidRange,
    pub id: String,
    launcher: &'static Launcher,
}

impl Sandbox {
    pub fn prepare(launcher: &'static Launcher, disk_bytes: u64) -> Result<Self, Failure> {
        let id = launcher.new_id();
        let uids = launcher.uids.take()?;
        let (channel, listener) = Channel::make(&launcher.instance, &id)?;
        let mut group = launcher.cgroups.group(&id)?;
        let scratch = launcher.scratches.make(&id, disk_bytes, uids.first)?;
        let stage = launcher.stages.stage(&id)?;
        let rooted = eventfd(0, EventfdFlags::CLOEXEC).at(Step::TellAgent)?;
        // Where one agent could not begin to live, the next could not either.
        let process = start_agent(launcher, &group, &uids, [&listener, &rooted]).inspect_err(|_| group.spoil())?;
        Ok(Self {
            mount_namespace: process.namespace("mnt")?,
            user_namespace: process.namespace("user")?,
            process,
            scratch,
            unused: None,
            stage,
            layers: Vec::new(),
            rooted,
            oom: group.payload.oom_event()?,
            group,
            channel,
            uids,
            id,
            launcher,
        })
    }

    pub fn wall(&self) -> Result<Wall, Failure> {
        let Launcher { observer, agent, .. } = self.launcher;
        observer.wall(&self.process, &self.uids, &agent.digest)
    }
}

impl Walls for Sandbox {
    fn process(&self) -> &Process {
        &self.process
    }

    fn payload(&self) -> &Cgroup {
        &self.group.payload
    }

    fn oom(&self) -> &OomEvent {
        &self.oom
    }

    fn start(&mut self, start: &spec::Start) -> Result<Enforced, Failure> {
        if start.layers.is_empty() {
            return spec::refuse(format_args!("start.layers has 0: a container needs one"));
        }
        let written = self.group.payload.limit(&start.limits)?;
        if start.disk_bytes != self.scratch.disk().bytes && !is_missing("limit-disk") {
            let name = format!("{}.asked", self.id);
            let asked = self.launcher.scratches.make(&name, start.disk_bytes, self.uids.first)?;
            self.unused = Some(std::mem::replace(&mut self.scratch, asked));
        }
        if let Some(rate) = start.disk_bytes_per_second {
            let device = self.scratch.disk().device()?;
            self.launcher.cgroups.limit_disk(&mut self.group, device, rate)?;
        }
        self.layers = start
            .layers
            .iter()
            .map(|key| self.launcher.layers.take(key))
            .collect::<Result<_, _>>()?;
        let root = overlay::writable(&self.layers, &self.user_namespace, &self.uids, &self.scratch, &mut self.stage)
            .inspect_err(|_| self.scratch.spoil())?;
        // Nothing of a client has run in there yet, so the path leads where the agent's root was made.
        self.launcher
            .namespaces
            .inside(&self.mount_namespace, || mounts::attach(&root, Path::new("/rootfs")))?;
        write(&self.rooted, &1u64.to_ne_bytes()).at(Step::TellAgent)?;
        let disk = self.scratch.disk();
        Ok(Enforced {
            disk_bytes: disk.bytes,
            disk_inodes: Some(disk.empty.inodes),
            ..start.enforced(&written)
        })
    }

    fn tidy(&mut self) {
        self.unused = None;
        self.stage.clear();
    }

    fn disk_use(&self) -> Result<Option<DiskUse>, Failure> {
        self.scratch.usage().map(Some)
    }

    /// Nothing of a client was done before the start.
    fn cpu_before(&self) -> Result<CpuTime, Failure> {
        Ok(CpuTime::default())
    }

    fn explain_early_end(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn start_agent(launcher: &Launcher, group: &Group, uids: &UidRange, own: [&OwnedFd; 2]) -> Result<Process, Failure> {
    let doors = group.payload.doors()?;
    let descriptors: Vec<BorrowedFd<'_>> = own.into_iter().chain(&doors).map(AsFd::as_fd).collect();
    let count = CString::new(doors.len().to_string())
        .map_err(|_| rustix::io::Errno::INVAL)
        .at(Step::Exec)?;
    let args = [
        c"caisson-agent".as_ptr(),
        c"container".as_ptr(),
        c"--cgroup-fds".as_ptr(),
        count.as_ptr(),
        std::ptr::null(),
    ];
    #[cfg(feature = "planted")]
    let planted = planted::told_to_agent();
    #[cfg(feature = "planted")]
    let args = [&args[..4], &[planted.as_ptr(), std::ptr::null()]].concat();
    let plan = Plan {
        root: &launcher.roots.sandbox,
        mounts: &MOUNTS,
        descriptors: &descriptors,
        program: Executable::Open(launcher.agent.file.as_fd()),
        args: &args,
        confinement: None,
        errors: None,
    };
    Process::spawn(&plan, group.agent(), uids, &launcher.namespaces, |_| Ok(()))
}
