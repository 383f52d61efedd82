//! A microVM for one run: the VMM in a jail that shows it nothing but its own files, and those of this run as open descriptors.
use crate::account;
use crate::cgroup::{Cgroup, CpuTime, Limits, OomEvent, Single};
use crate::channel::Channel;
use crate::console::Console;
use crate::control::Control;
use crate::launcher::Launcher;
use crate::origin::Origin;
use crate::plan::{Confinement, Executable, FIRST_DESCRIPTOR, Mount, Plan};
use crate::process::Process;
use crate::scratch::{DiskTemplate, DiskUse};
use crate::spec::{self, Boot, HandedFile};
use crate::step::{At, Failure, Step};
use crate::templates::{Draft, Kept};
use crate::uids::UidRange;
use crate::vmm_filter::FILTER;
use crate::walls::Walls;
use caisson_frame::launch::{Enforced, Wall};
use rustix::fs::{MemfdFlags, fstat, memfd_create};
use rustix::io::{Errno, dup, pread};
use rustix::mount::MountFlags;
use rustix::process::Resource;
use rustix::thread::CapabilitySet;
use std::ffi::{CStr, c_char};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

const MOUNTS: [Mount; 1] = [Mount {
    kind: c"proc",
    target: c"proc",
    flags: MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC),
    // Its descriptors, and nothing of the host.
    options: Some(c"subset=pid"),
}];
const PROGRAM: &CStr = c"/usr/bin/qemu-system-x86_64";
/// Its disks twice over, its sockets, and what its threads wake each other by.
const VMM_FILES: u64 = 512;
/// Of what the VMM said before it ended.
const WORDS_BYTES: usize = 400;
/// QEMU says nothing of a guest that panics or restarts.
const SILENT_END: &str = "ended without a word: it was killed, or its guest gave up (--debug keeps its console)";
/// Until a machine has its disk it has no file that could grow.
const NO_DISK_YET: u64 = u64::MAX;

/// Disposed of in the order of the fields.
pub struct Machine {
    process: Process,
    errors: OwnedFd,
    /// While somebody debugs it.
    console: Option<Console>,
    oom: OomEvent,
    group: Single,
    pub channel: Channel,
    control: Control,
    uids: UidRange,
    pub id: String,
    limits: Limits,
    /// Once it has one.
    disk_bytes: Option<u64>,
    /// That its guest has mounted since before it was saved.
    mounted: Option<Arc<DiskTemplate>>,
    /// Until it is a template.
    draft: Option<Draft>,
    kept: Option<Kept>,
    launcher: &'static Launcher,
}

impl Machine {
    pub fn boot(launcher: &'static Launcher, boot: &Boot) -> Result<Self, Failure> {
        let origin = Origin::of(launcher, &boot.from)?;
        let id = launcher.new_id();
        let uids = launcher.uids.take()?;
        let (channel, channel_listener) = Channel::make(&launcher.instance, &id)?;
        let (control, their_control) = Control::make()?;
        let group = launcher.cgroups.single(&id)?;
        group.payload.limit(&boot.limits)?;
        let (console, their_console) = match boot.console {
            true => launcher.consoles.make(&id).map(|(ours, theirs)| (Some(ours), Some(theirs)))?,
            false => (None, None),
        };
        let errors = memfd_create("errors", MemfdFlags::CLOEXEC).at(Step::Vmm)?;
        let mut descriptors = vec![channel_listener.as_fd(), their_control.as_fd()];
        descriptors.extend(origin.files(launcher)?);
        descriptors.extend(their_console.as_ref().map(AsFd::as_fd));
        descriptors.push(errors.as_fd());
        let process = start_vmm(launcher, boot, &group, &uids, &descriptors)?;
        Ok(Self {
            process,
            errors,
            console,
            oom: group.payload.oom_event()?,
            group,
            channel,
            control,
            uids,
            id,
            limits: boot.limits,
            disk_bytes: None,
            mounted: origin.disk(),
            draft: origin.into_draft(),
            kept: None,
            launcher,
        })
    }

    /// One from a template began, as the template did, with the kernel and the initramfs that the launcher has had since its start.
    pub fn wall(&self) -> Result<Wall, Failure> {
        let Launcher { observer, guest, .. } = self.launcher;
        let files = guest.files()?;
        let seen = observer.wall(&self.process, &self.uids, &files.agent_digest);
        Ok(Wall {
            machine: Some(files.wall()?),
            ..seen.map_err(|failure| match Errno::from_raw_os_error(failure.errno) {
                // A process that has ended has no namespaces any more.
                Errno::NOENT | Errno::SRCH => self.early_end(),
                _ => failure,
            })?
        })
    }

    /// Empty: it is not kept.
    pub fn console_path(&self) -> String {
        let path = self
            .console
            .as_ref()
            .map(|console| console.path.to_string_lossy().into_owned());
        path.unwrap_or_default()
    }

    /// From now on no file of the VMM's grows beyond its disk.
    fn scratch(&mut self, bytes: u64) -> Result<OwnedFd, Failure> {
        if self.disk_bytes.is_some() {
            return spec::refuse(format_args!("tell.scratch_bytes: the machine has its disk"));
        }
        let scratches = &self.launcher.scratches;
        let file = match self.mounted.as_ref().filter(|disk| disk.bytes == bytes) {
            Some(disk) => scratches.copy(disk)?,
            None => scratches.file(bytes)?,
        };
        let size = fstat(&file).at(Step::Vmm)?.st_size as u64;
        self.process.limit_files(size, &self.uids)?;
        self.disk_bytes = Some(bytes);
        if let Some(draft) = &mut self.draft {
            draft.has_disk(&file, bytes)?;
        }
        Ok(file)
    }

    fn state(&self) -> Result<OwnedFd, Failure> {
        let Some(draft) = &self.draft else {
            return spec::refuse(format_args!("tell.state: the machine is not to become a template"));
        };
        dup(&draft.state).at(Step::Template)
    }

    fn early_end(&self) -> Failure {
        Failure {
            step: Step::Vmm,
            subject: match self.last_words() {
                none if none.is_empty() => SILENT_END.to_owned(),
                words => format!("ended: {words}"),
            },
            errno: Errno::IO.raw_os_error(),
        }
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
    group: &Single,
    uids: &UidRange,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Process, Failure> {
    let mut args: Vec<*const c_char> = vec![c"qemu-system-x86_64".as_ptr()];
    args.extend(boot.args.iter().map(|arg| arg.as_ptr()));
    args.push(std::ptr::null());
    let plan = Plan {
        root: &launcher.roots.vmm,
        mounts: &MOUNTS,
        descriptors,
        program: Executable::Inside(PROGRAM),
        args: &args,
        confinement: Some(Confinement {
            limits: &[
                (Resource::Fsize, NO_DISK_YET),
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

    fn control(&self) -> Option<&Control> {
        Some(&self.control)
    }

    fn tell(&mut self, data: &[u8], file: &HandedFile) -> Result<(), Failure> {
        let file = match file {
            HandedFile::None => None,
            HandedFile::Layer(key) => Some(self.launcher.layers.store.open(key)?),
            HandedFile::Scratch(bytes) => Some(self.scratch(*bytes)?),
            HandedFile::State => Some(self.state()?),
        };
        self.control.tell(data, file.as_ref().map(AsFd::as_fd))
    }

    fn keep_template(&mut self) -> Result<u64, Failure> {
        account::end_payload(&self.group.payload)?;
        let Some(draft) = self.draft.take() else {
            return spec::refuse(format_args!("keep_template: the machine is not to become a template"));
        };
        let kept = self.launcher.templates.keep(&self.id, draft)?;
        Ok(self.kept.insert(kept).bytes)
    }

    /// It has had its memory since it was booted, and its disks came one by one.
    fn start(&mut self, start: &spec::Start) -> Result<Enforced, Failure> {
        if !start.layers.is_empty() {
            return spec::refuse(format_args!("start.layers: a machine has its disks before"));
        }
        let written = self.group.payload.limit(&Limits {
            cpu_millis: start.limits.cpu_millis,
            ..self.limits
        })?;
        Ok(Enforced {
            disk_bytes: self.disk_bytes.unwrap_or_default(),
            ..start.enforced(&written)
        })
    }

    fn tidy(&mut self) {}

    fn disk_use(&self) -> Result<Option<DiskUse>, Failure> {
        Ok(None)
    }

    fn cpu_before(&self) -> Result<CpuTime, Failure> {
        self.group.payload.cpu_time()
    }

    fn hear_out(&mut self) {
        self.console = None;
    }

    /// One that ends before its run began has something to say, and nobody else hears it.
    fn explain_early_end(&self) -> Result<(), Failure> {
        Err(self.early_end())
    }
}
