//! A microVM for one run: the VMM in a jail that shows it nothing but its own files, and those of this run as open descriptors.
use crate::cgroup::{Cgroup, CpuTime, Group, Limits, OomEvent};
use crate::channel::Channel;
use crate::child::{Confinement, Executable, FIRST_DESCRIPTOR, Mount, Plan};
use crate::launcher::Launcher;
use crate::process::Process;
use crate::scratch::DiskUse;
use crate::spec::{self, Boot};
use crate::step::{At, Failure, Step};
use crate::uids::UidRange;
use crate::vmm_filter::FILTER;
use crate::walls::Walls;
use rustix::fs::{MemfdFlags, fstat, memfd_create};
use rustix::io::{Errno, pread};
use rustix::mount::MountFlags;
use rustix::process::Resource;
use rustix::thread::CapabilitySet;
use std::ffi::{CStr, c_char};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

const MOUNTS: [Mount; 1] = [Mount {
    kind: c"proc",
    target: c"proc",
    flags: MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC),
    options: None,
}];
const PROGRAM: &CStr = c"/usr/bin/qemu-system-x86_64";
/// Its disks twice over, its sockets, and what its threads wake each other by.
const VMM_FILES: u64 = 512;
/// Of what the VMM said before it ended.
const WORDS_BYTES: usize = 400;

/// Disposed of in the order of the fields.
pub struct Machine {
    process: Process,
    errors: OwnedFd,
    oom: OomEvent,
    group: Group,
    pub channel: Channel,
    pub control: Channel,
    _uids: UidRange,
    pub id: String,
    limits: Limits,
}

impl Machine {
    pub fn boot(launcher: &'static Launcher, boot: &Boot) -> Result<Self, Failure> {
        let files = launcher.guest.files()?;
        let id = launcher.new_id();
        let uids = launcher.uids.take()?;
        let (channel, channel_listener) = Channel::make(&launcher.instance, &id)?;
        let (control, control_listener) = Channel::make(&launcher.instance, &format!("{id}.control"))?;
        let group = launcher.cgroups.group(&id)?;
        group.payload.limit(&boot.limits)?;
        let scratch = launcher.scratches.file(boot.disk_bytes)?;
        let layers = boot.layers.iter().map(|key| launcher.layers.store.open(key));
        let layers: Vec<OwnedFd> = layers.collect::<Result<_, _>>()?;
        let errors = memfd_create("errors", MemfdFlags::CLOEXEC).at(Step::Vmm)?;
        let own = [
            &channel_listener,
            &control_listener,
            &files.kernel,
            &files.initramfs,
            &scratch,
        ];
        let descriptors: Vec<BorrowedFd<'_>> = own.into_iter().chain(&layers).chain([&errors]).map(AsFd::as_fd).collect();
        let process = start_vmm(launcher, boot, &group, &uids, &descriptors)?;
        Ok(Self {
            process,
            errors,
            oom: group.payload.oom_event()?,
            group,
            channel,
            control,
            _uids: uids,
            id,
            limits: boot.limits,
        })
    }

    fn last_words(&self) -> String {
        let mut words = [0; WORDS_BYTES];
        let length = pread(&self.errors, &mut words, 0).unwrap_or(0);
        let words = String::from_utf8_lossy(&words[..length]);
        words.lines().collect::<Vec<_>>().join("; ")
    }
}

fn start_vmm(
    launcher: &Launcher,
    boot: &Boot,
    group: &Group,
    uids: &UidRange,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Process, Failure> {
    let mut args: Vec<*const c_char> = vec![c"qemu-system-x86_64".as_ptr()];
    args.extend(boot.args.iter().map(|arg| arg.as_ptr()));
    args.push(std::ptr::null());
    let sizes = descriptors
        .iter()
        .map(|descriptor| fstat(descriptor).map(|facts| facts.st_size as u64));
    let largest = sizes.collect::<Result<Vec<_>, _>>().at(Step::Vmm)?.into_iter().max();
    let plan = Plan {
        root: &launcher.roots.vmm,
        mounts: &MOUNTS,
        descriptors,
        program: Executable::Inside(PROGRAM),
        args: &args,
        confinement: Some(Confinement {
            limits: &[
                (Resource::Fsize, largest.unwrap_or(0)),
                (Resource::Nofile, VMM_FILES),
                (Resource::Nproc, boot.limits.pids),
                (Resource::Core, 0),
                (Resource::Memlock, 0),
                (Resource::Msgqueue, 0),
            ],
            capabilities: CapabilitySet::empty(),
            filter: Some(&FILTER),
        }),
        errors: Some(FIRST_DESCRIPTOR + descriptors.len() as RawFd - 1),
    };
    Process::spawn(&plan, &group.payload, uids, &launcher.namespaces, |_| Ok(()))
}

impl Walls for Machine {
    fn process(&self) -> &Process {
        &self.process
    }

    fn payload(&self) -> &Cgroup {
        &self.group.payload
    }

    fn oom(&self) -> &OomEvent {
        &self.oom
    }

    /// It has had its disks and its memory since it was booted.
    fn start(&mut self, start: &spec::Start) -> Result<(), Failure> {
        if !start.layers.is_empty() {
            return spec::refuse(format_args!("start.layers: a machine has them since boot"));
        }
        self.group.payload.limit(&Limits {
            cpu_millis: start.limits.cpu_millis,
            ..self.limits
        })
    }

    fn tidy(&mut self) {}

    fn disk_use(&self) -> Result<Option<DiskUse>, Failure> {
        Ok(None)
    }

    fn cpu_before(&self) -> Result<CpuTime, Failure> {
        self.group.payload.cpu_time()
    }

    /// One that ends before its run began has something to say, and nobody else hears it.
    fn explain_early_end(&self) -> Result<(), Failure> {
        Err(Errno::IO).about(Step::Vmm, format_args!("ended: {}", self.last_words()))
    }
}
