//! What a session starts: the client's programs, behind the walls of this sandbox.
use crate::failure::{At, Failure};
use crate::microvm::{self, Guest};
use crate::payload::{self, Prepared, Walls};
use crate::planted::is_missing;
use crate::process::Process;
use crate::session::AgentError;
use alloc::format;
use alloc::rc::Rc;
use caisson_frame::agent::{Exec, Mount, Setup, failed::Step};
use rustix::fd::OwnedFd;
use rustix::fs::stat;
use rustix::io::Errno;
use rustix::system::sethostname;

pub trait Programs {
    /// False where there is nothing to mount: only a machine is told to. What fails is told to the first `Exec`.
    fn mount(&mut self, mount: &Mount) -> bool;

    /// False where there is nothing to rehearse: only a machine waits long enough. What fails is told to the first `Exec`.
    fn rehearse(&mut self, setup: &Setup) -> bool;

    /// True where the worker waits for `Ready`.
    fn set_up(&mut self, setup: &Setup) -> Result<bool, AgentError>;

    fn start(&mut self, exec: &Exec) -> Result<Process, Failure>;
}

pub struct Sandbox {
    walls: Walls,
    /// Made before anything is known of a client, for the first `Exec`.
    prepared: Option<Result<Prepared, Failure>>,
    /// In a container, until the launcher has said by it that the root is mounted.
    unrooted: Option<OwnedFd>,
    /// In a microVM.
    guest: Option<Rc<Guest>>,
    /// Of its root, once it has one.
    layers: Option<u32>,
    /// The machine could not be set up: nothing can be executed.
    unusable: Option<Failure>,
}

impl Sandbox {
    /// The first program waits until `rooted`, an eventfd, can be read.
    pub fn of_container(walls: Walls, prepared: Result<Prepared, Failure>, rooted: OwnedFd) -> Self {
        Self {
            walls,
            prepared: Some(prepared),
            unrooted: Some(rooted),
            guest: None,
            layers: None,
            unusable: None,
        }
    }

    pub fn of_machine(walls: Walls, prepared: Result<Prepared, Failure>, guest: Guest) -> Self {
        Self {
            walls,
            prepared: Some(prepared),
            unrooted: None,
            guest: Some(Rc::new(guest)),
            layers: None,
            unusable: None,
        }
    }
}

impl Programs for Sandbox {
    fn mount(&mut self, mount: &Mount) -> bool {
        let Some(guest) = &self.guest else { return false };
        let failure = guest.mount(mount).err();
        self.unusable = self.unusable.take().or(failure);
        self.layers = Some(mount.layers);
        true
    }

    fn rehearse(&mut self, setup: &Setup) -> bool {
        let Some(guest) = &self.guest else { return false };
        // On a root that could not be made there is nothing to rehearse.
        if self.unusable.is_none() {
            self.unusable = microvm::rehearse(guest, &self.walls, self.layers, setup).err();
        }
        true
    }

    fn set_up(&mut self, setup: &Setup) -> Result<bool, AgentError> {
        if let Some(guest) = &self.guest {
            let failure = guest.set_up(setup).err();
            self.unusable = self.unusable.take().or(failure);
        }
        if !is_missing("namespace-uts") {
            sethostname(setup.hostname.as_bytes()).map_err(AgentError::Hostname)?;
        }
        Ok(self.guest.is_some())
    }

    fn start(&mut self, exec: &Exec) -> Result<Process, Failure> {
        self.unusable.take().map_or(Ok(()), Err)?;
        if let Some(rooted) = self.unrooted.take() {
            // A launcher that cannot mount it ends this process.
            rustix::io::read(&rooted, &mut [0; 8]).at(Step::Root, "wait for the root")?;
        }
        let root = clone_root()?;
        let prepared = self.prepared.take().unwrap_or_else(|| payload::prepare(&self.walls))?;
        Process::start(exec, prepared, root, self.guest.clone())
    }
}

/// A copy of the mount, for a mount namespace that was made before it was there.
pub fn clone_root() -> Result<OwnedFd, Failure> {
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
