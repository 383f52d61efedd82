//! What microVMs boot: a kernel, an initramfs whose only program is the agent, and the VMM. Taken once: what is put into that folder
//! later is for the next launcher.
mod cpio;
mod tsc;

use crate::digest::{self, Digest};
use crate::roots::KVM;
use crate::sealed::sealed;
use crate::step::{At, Failure, Step};
use crate::vmm_filter;
use caisson_frame::launch::{GuestDescribed, MachineWall};
use cpio::Archive;
use rustix::fs::MemfdFlags;
use std::fs::{File, read, read_dir};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const VMM: &str = "vmm/usr/bin/qemu-system-x86_64";

pub struct Files {
    pub kernel: OwnedFd,
    pub initramfs: OwnedFd,
    pub agent_digest: Digest,
    version: String,
    acpi: bool,
    vmm: OwnedFd,
    wall: OnceLock<MachineWall>,
}

pub const FOLDER: &str = "/var/cache/caisson/guest";

/// Why no microVM that counts can be had here, as far as files tell.
pub fn problem(folder: &Path, kvm: &Path) -> Option<String> {
    let missing = ["kernel", "version", VMM]
        .into_iter()
        .find(|name| !folder.join(name).exists());
    match missing {
        Some(name) => Some(format!("{} is missing (scripts/setup makes it)", folder.join(name).display())),
        None if !kvm.exists() => Some(format!(
            "there is no {}: emulated ones only, where the operator allows them (--allow-emulation)",
            kvm.display()
        )),
        None => None,
    }
}

/// A machine without one serves containers alone.
pub struct Guest(Result<Files, Failure>);

impl Guest {
    pub fn open(folder: &Path, agent: &Path) -> Self {
        Self(Files::open(folder, agent))
    }

    pub fn files(&self) -> Result<&Files, Failure> {
        self.0.as_ref().map_err(|failure| Failure {
            step: failure.step,
            subject: failure.subject.clone(),
            errno: failure.errno,
        })
    }

    pub fn describe(&self) -> GuestDescribed {
        match &self.0 {
            Ok(files) => {
                // So that no run waits for it. What is wrong with it shows there.
                let _ = files.wall();
                GuestDescribed {
                    unavailable: String::new(),
                    version: files.version.clone(),
                    kvm: Path::new(KVM).exists(),
                    tsc_khz: tsc::khz(),
                    acpi: files.acpi,
                }
            }
            Err(failure) => GuestDescribed {
                unavailable: format!("{failure} (scripts/setup makes it)"),
                ..GuestDescribed::default()
            },
        }
    }
}

impl Files {
    fn open(folder: &Path, agent: &Path) -> Result<Self, Failure> {
        let version = folder.join("version");
        // A folder may hold another first program: so do tests have a guest that attacks its host.
        let own = folder.join("agent");
        let agent = take(if own.exists() { &own } else { agent })?;
        Ok(Self {
            vmm: open(&folder.join(VMM))?,
            wall: OnceLock::new(),
            agent_digest: digest::of(&agent),
            version: String::from_utf8_lossy(&take(&version)?).trim_end().to_owned(),
            kernel: open(&folder.join("kernel"))?,
            acpi: !folder.join("no-acpi").exists(),
            initramfs: initramfs(folder, &agent)?,
        })
    }

    /// Some ten megabytes are read for it, at first.
    pub fn wall(&self) -> Result<MachineWall, Failure> {
        if let Some(wall) = self.wall.get() {
            return Ok(wall.clone());
        }
        let digest = |file, name| digest::of_file(file).map(Vec::from).about(Step::Guest, name);
        let wall = MachineWall {
            vmm_digest: digest(&self.vmm, VMM)?,
            kernel_digest: digest(&self.kernel, "kernel")?,
            initramfs_digest: digest(&self.initramfs, "initramfs")?,
            seccomp_digest: vmm_filter::LIST.to_vec(),
        };
        Ok(self.wall.get_or_init(|| wall).clone())
    }
}

fn open(path: &Path) -> Result<OwnedFd, Failure> {
    File::open(path).map(OwnedFd::from).about(Step::Guest, path.display())
}

fn take(path: &Path) -> Result<Vec<u8>, Failure> {
    read(path).about(Step::Guest, path.display())
}

/// The agent loads the modules in the order of their names, before it leaves the initramfs behind.
fn initramfs(folder: &Path, agent: &[u8]) -> Result<OwnedFd, Failure> {
    let mut archive = Archive::default();
    for name in ["dev", "proc", "sys", "root", "modules"] {
        archive.folder(name);
    }
    archive.console("dev/console");
    archive.program("init", agent);
    for path in modules(&folder.join("modules"))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("modules/{name}"), &take(&path)?);
    }
    sealed("initramfs", &archive.finish(), MemfdFlags::NOEXEC_SEAL, Step::Guest)
}

/// A kernel with everything built in comes without any.
fn modules(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = read_dir(folder).about(Step::Guest, folder.display())?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}
