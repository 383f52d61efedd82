//! What a run needs of the walls it is behind: those of a container, or of a machine of its own.
use crate::cgroup::{Cgroup, CpuTime, OomEvent};
use crate::control::Control;
use crate::process::Process;
use crate::scratch::DiskUse;
use crate::spec::{self, HandedFile};
use crate::step::Failure;
use caisson_frame::launch::Enforced;

pub trait Walls {
    /// Ends only when it should not, or was told to: the agent, or the VMM.
    fn process(&self) -> &Process;
    /// Where the limits are kept, and what is killed.
    fn payload(&self) -> &Cgroup;
    fn oom(&self) -> &OomEvent;
    /// Where a machine is told what to do, before its start.
    fn control(&self) -> Option<&Control> {
        None
    }
    fn tell(&mut self, _data: &[u8], _file: &HandedFile) -> Result<(), Failure> {
        spec::refuse(format_args!("tell: a container has nobody to be told"))
    }
    /// It ends, and others may begin from it. Returns what that holds of the host's memory.
    fn keep_template(&mut self) -> Result<u64, Failure> {
        spec::refuse(format_args!("keep_template: not of a container"))
    }
    /// The caller then starts the clocks and answers. Returns the limits as they are kept from now on.
    fn start(&mut self, start: &spec::Start) -> Result<Enforced, Failure>;
    /// What `start` put off; the end of the sandbox does it too.
    fn tidy(&mut self);
    /// None where the host cannot look into the disk.
    fn disk_use(&self) -> Result<Option<DiskUse>, Failure>;
    /// What the payload had used when it was started, which is not the run's.
    fn cpu_before(&self) -> Result<CpuTime, Failure>;
    /// Called when the process has ended: whoever is told of that finds all that it said.
    fn hear_out(&mut self) {}
    /// Called when the process ended before the start.
    fn explain_early_end(&self) -> Result<(), Failure>;
}
