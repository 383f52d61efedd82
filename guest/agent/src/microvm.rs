//! Behind the microVM wall: init of a machine that is made for one run. What the launcher does for a container, it does here itself.
mod boot;
mod disks;
mod fresh;
mod limits;
mod port;

use crate::channel::Channel;
use crate::failure::Failure;
use crate::kernel;
use crate::payload::{self, Walls};
use crate::seccomp;
use crate::session::{AgentError, Session};
use caisson_frame::agent::{Counters, Setup};
use caisson_seccomp::compile;
use limits::Payload;
use rustix::system::{RebootCommand, reboot};
use std::os::fd::OwnedFd;

/// The machine ends with its one conversation.
pub fn run() -> ! {
    if let Err(error) = live() {
        // Goes to the console, which the machine has only while somebody debugs it.
        eprintln!("caisson-agent: {error}");
    }
    // Without ACPI a machine cannot be switched off; a restart is where its VMM ends.
    let _ = reboot(RebootCommand::Restart);
    kernel::leave(1)
}

fn live() -> Result<(), AgentError> {
    boot::load_modules()?;
    let port = port::open()?;
    let devices = boot::enter_root()?;
    let payload = Payload::make()?;
    let walls = Walls {
        cgroups: vec![payload.door()?],
        filter: compile(seccomp::RULES),
    };
    let prepared = payload::prepare(&walls);
    port::wait_for_host(&port)?;
    let channel = Channel::new(port).map_err(AgentError::Accept)?;
    Session::new(channel, walls, prepared, Some(Guest { devices, payload })).serve()
}

/// The machine as its session sees it.
pub struct Guest {
    devices: OwnedFd,
    payload: Payload,
}

impl Guest {
    /// Before any process of a client starts. What fails is the answer to the first `Exec`.
    pub fn set_up(&self, setup: &Setup) -> Result<(), Failure> {
        let machine = setup.machine.unwrap_or_default();
        fresh::stir(&setup.entropy)?;
        fresh::set_clock(setup.unix_us)?;
        self.payload.limit(&machine)?;
        disks::mount_root(&self.devices, &machine)
    }

    pub fn counters(&self) -> Counters {
        let mut counters = self.payload.counters();
        disks::measure(&mut counters);
        counters
    }
}
