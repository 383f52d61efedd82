//! What all conversations share. Made once, and never freed: the process ends with it.
use crate::args::Serve;
use crate::cgroup::Hierarchies;
use crate::console::Consoles;
use crate::guest::Guest;
use crate::instance::{Instance, State};
use crate::labels::Labels;
use crate::layers::Layers;
use crate::mounts::{self, Option as Set};
use crate::namespaces::MountNamespaces;
use crate::observed::Observer;
use crate::overlay::Stages;
use crate::program::Program;
use crate::roots::Roots;
use crate::scratch::Scratches;
use crate::step::{Failure, Step};
use crate::sweep::sweep;
use crate::templates::Templates;
use crate::uids::Uids;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Launcher {
    pub instance: Instance,
    pub namespaces: MountNamespaces,
    pub roots: Roots,
    pub cgroups: Hierarchies,
    pub uids: Uids,
    pub layers: Layers,
    pub scratches: Scratches,
    pub stages: Stages,
    pub spool: OwnedFd,
    pub agent: Program,
    pub converter: Program,
    pub lister: Program,
    pub guest: Guest,
    pub templates: Templates,
    pub consoles: Consoles,
    pub observer: Observer,
    next_id: AtomicU64,
}

impl Launcher {
    /// Called while the process has one thread: its mount namespaces become those of every later one.
    pub fn make(command: &Serve, labels: Labels) -> Result<&'static Self, Failure> {
        let instance = Instance::take(command)?;
        let state = State::open(&command.state, instance.worker)?;
        let cgroups = Hierarchies::open(&instance.name)?;
        sweep(&instance, &cgroups);
        let (roots_at, mounts) = (instance.mount_point("roots")?, instance.mount_point("mounts")?);
        let (namespaces, roots) = MountNamespaces::make(|| Roots::furnish(&roots_at, &command.guest, labels))?;
        // In the store alone: every mount of a layer, a disk, a stage.
        let tmpfs = mounts::make(
            Step::MakeFolder,
            "tmpfs",
            &[Set::Text("mode", "0700")],
            MountAttrFlags::empty(),
        )?;
        mounts::attach(tmpfs, &mounts)?;
        let launcher = Box::leak(Box::new(Self {
            namespaces,
            roots,
            uids: Uids::new()?,
            layers: Layers::new(state.layers, mounts.clone()),
            stages: Stages::make(&mounts)?,
            scratches: Scratches::new(state.scratch, mounts),
            spool: state.spool,
            guest: Guest::open(&command.guest, &command.agent),
            templates: Templates::default(),
            consoles: Consoles::new(state.consoles, &command.state, instance.worker),
            agent: Program::load("caisson-agent", &command.agent)?,
            converter: Program::load("caisson-converter", &command.converter)?,
            lister: Program::load("caisson-lister", &command.lister)?,
            observer: Observer::new(cgroups.version())?,
            cgroups,
            instance,
            next_id: AtomicU64::new(1),
        }));
        // What was read to be sealed: every clone would copy the tables of it.
        // SAFETY: it gives back memory that nothing uses.
        unsafe { libc::malloc_trim(0) };
        Ok(launcher)
    }

    /// For their folders to be removed; whatever is still in use lives on until this process ends.
    pub fn unmount(&self) {
        for name in ["mounts", "roots"] {
            let _ = mounts::detach(&self.instance.run.join(name));
        }
    }

    /// Names cgroups, channels and mounts of one connection; only one launcher at a time has this instance's.
    pub fn new_id(&self) -> String {
        format!("{:06x}", self.next_id.fetch_add(1, Ordering::Relaxed))
    }
}
