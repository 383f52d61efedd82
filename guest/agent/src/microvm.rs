//! Behind the microVM wall: init of a machine that is made for one run. What the launcher does for a container, it does here itself.
mod boot;
mod disks;
mod fresh;
mod idle;
mod limits;
mod port;
mod rehearsal;

use crate::channel::Channel;
use crate::failure::Failure;
use crate::io;
use crate::kernel;
use crate::payload::{self, Walls};
use crate::programs::Sandbox;
use crate::seccomp;
use crate::session::{AgentError, Session};
use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};
use boot::Hidden;
use caisson_frame::agent::{Counters, Mount, Setup};
use limits::Payload;
use rustix::system::{RebootCommand, reboot};

pub use rehearsal::{WORD as REHEARSE, act as act_in_rehearsal, perform as rehearse};

/// The machine ends with its one conversation. `ready`: behind its disks is a scratch disk for so many bytes, which is to be mounted at once.
pub fn run(disks: usize, ready: Option<u64>) -> ! {
    if let Err(error) = live(disks, ready) {
        say(&error.to_string());
    }
    // Without ACPI a machine cannot be switched off; a restart is where its VMM ends.
    let _ = reboot(RebootCommand::Restart);
    kernel::leave(1)
}

/// On the console, which the machine has only while somebody debugs it.
fn say(what: &str) {
    io::complain(what);
}

fn live(disks: usize, ready: Option<u64>) -> Result<(), AgentError> {
    boot::load_modules()?;
    let hidden = boot::enter_root()?;
    say("has its root, waits for its disks");
    disks::make_points(disks)?;
    let mut disks = disks::wait_for(&hidden, disks + usize::from(ready.is_some()))?;
    idle::be_quiet();
    let payload = Payload::make()?;
    let walls = Walls {
        cgroups: vec![payload.door()?],
        filter: seccomp::FILTER,
    };
    let prepared = payload::prepare(&walls);
    if let Some(bytes) = ready {
        disks::mount_ready(&hidden, disks.pop(), bytes)?;
    }
    idle::wait_for_rest();
    // What is saved as a template is saved from here on: the VMM tells when the port is opened.
    say("waits for its host");
    let port = port::open(&hidden.devices)?;
    port::wait_for_host(&port)?;
    say("its host is there");
    let channel = Channel::new(port).map_err(AgentError::Accept)?;
    let guest = Guest {
        hidden,
        disks,
        ready,
        payload,
    };
    Session::new(channel, Sandbox::of_machine(walls, prepared, guest)).serve()
}

/// The machine as its session sees it.
pub struct Guest {
    hidden: Hidden,
    /// Their names, by target.
    disks: Vec<String>,
    /// For how many bytes the scratch disk is that is mounted already.
    ready: Option<u64>,
    payload: Payload,
}

impl Guest {
    pub fn mount(&self, mount: &Mount) -> Result<(), Failure> {
        disks::mount_root(&self.hidden, &self.disks, self.ready, mount)
    }

    /// Before any process of a client starts.
    pub fn set_up(&self, setup: &Setup) -> Result<(), Failure> {
        set_up(setup, &self.payload)
    }

    pub fn counters(&self) -> Counters {
        let mut counters = self.payload.counters();
        disks::measure(&mut counters);
        counters
    }
}

/// The clock first: its time grows old.
fn set_up(setup: &Setup, payload: &Payload) -> Result<(), Failure> {
    fresh::set_clock(setup.unix_us)?;
    fresh::stir(&setup.entropy)?;
    payload.limit(&setup.machine.unwrap_or_default())
}
