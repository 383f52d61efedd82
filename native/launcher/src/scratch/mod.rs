//! The disk a sandbox writes to: ext4 without a journal on a sparse file that has no name. Its size is the limit, and what is written
//! leaves the page cache under pressure, so that written files never end as OOM_KILLED.
mod template;

use crate::log;
use crate::loops::Loop;
use crate::mounts::{self, Option as Set};
use crate::step::{At, Failure, Step};
use crate::sys;
use rustix::fs::{FallocateFlags, Gid, Mode, OFlags, Uid, fallocate, fchown, fstatvfs, ftruncate, mkdirat, openat};
use rustix::io::pwrite;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use template::{BLOCK, Templates};

const EXT4_IOC_SHUTDOWN: u64 = 0x8004_587D;
const SHUTDOWN_WITHOUT_FLUSH: u32 = 2;
/// Folders of the overlay, and what maps a file's blocks: so that a file of exactly the size asked for has room.
const OVERHEAD_BYTES: u64 = 16 * BLOCK;
/// With less than this left a disk counts as full: a large write is refused by folios of the page cache, and leaves less than one of them.
const FULL_BYTES: u64 = 2 << 20;
/// The same of a small disk, as a part of it.
const FULL_PART: u64 = 16;

pub struct Scratches {
    folder: OwnedFd,
    mounts: PathBuf,
    templates: Templates,
}

pub struct Scratch {
    pub bytes: u64,
    pub upper: OwnedFd,
    pub work: OwnedFd,
    empty_bytes: u64,
    disk: Disk,
}

/// Mounted until it is dropped.
struct Disk {
    mount: OwnedFd,
    mount_point: PathBuf,
}

pub struct DiskUse {
    pub used_bytes: u64,
    pub full: bool,
}

impl Scratches {
    pub fn new(folder: OwnedFd, mounts: PathBuf) -> Self {
        Self {
            folder,
            mounts,
            templates: Templates::default(),
        }
    }

    /// `upper` in it belongs to `owner`, `work` is the overlay's own, and a ballast leaves them exactly what was asked for.
    pub fn make(&self, id: &str, bytes: u64, owner: u32) -> Result<Scratch, Failure> {
        let disk = self.mount(id, bytes)?;
        let (upper, work) = (disk.folder("upper", 0o755)?, disk.folder("work", 0o700)?);
        fchown(&upper, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner))).about(Step::MakeScratch, "upper")?;
        disk.load_down(bytes)?;
        Ok(Scratch {
            bytes,
            upper,
            work,
            empty_bytes: disk.free()?.0,
            disk,
        })
    }

    fn mount(&self, id: &str, bytes: u64) -> Result<Disk, Failure> {
        let device = Loop::attach(self.file(bytes)?, false)?;
        let flags = ["noinit_itable", "nobarrier", "noauto_da_alloc"].map(Set::Flag);
        let options: Vec<Set<'_>> = flags.into_iter().chain([Set::Text("source", &device.path)]).collect();
        let attributes =
            MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOATIME;
        let mount = mounts::make(Step::MountScratch, "ext4", &options, attributes)?;
        let disk = Disk {
            mount,
            mount_point: mounts::place(&self.mounts, id)?,
        };
        mounts::attach(&disk.mount, &disk.mount_point)?;
        Ok(disk)
    }

    fn file(&self, bytes: u64) -> Result<OwnedFd, Failure> {
        let template = self.templates.get(&self.folder, bytes)?;
        let file = unnamed(&self.folder)?;
        ftruncate(&file, template.file_bytes).at(Step::MakeScratch)?;
        for (offset, block) in &template.blocks {
            pwrite(&file, block, *offset).at(Step::MakeScratch)?;
        }
        Ok(file)
    }
}

fn unnamed(folder: impl AsFd) -> Result<OwnedFd, Failure> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    openat(folder, ".", flags, Mode::from_raw_mode(0o600)).at(Step::MakeScratch)
}

impl Scratch {
    pub fn usage(&self) -> Result<DiskUse, Failure> {
        let (free, inodes) = self.disk.free()?;
        let full = free < OVERHEAD_BYTES + FULL_BYTES.min(self.bytes / FULL_PART) || inodes == 0;
        Ok(DiskUse {
            used_bytes: self.empty_bytes.saturating_sub(free),
            full,
        })
    }
}

impl Disk {
    fn folder(&self, name: &str, mode: u32) -> Result<OwnedFd, Failure> {
        mkdirat(&self.mount, name, Mode::from_raw_mode(mode)).about(Step::MakeScratch, name)?;
        openat(&self.mount, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).about(Step::MakeScratch, name)
    }

    fn load_down(&self, bytes: u64) -> Result<(), Failure> {
        let excess = self.free()?.0.saturating_sub(bytes + OVERHEAD_BYTES);
        if excess == 0 {
            return Ok(());
        }
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let ballast = openat(&self.mount, "ballast", flags, Mode::from_raw_mode(0o600)).about(Step::MakeScratch, "ballast")?;
        fallocate(ballast, FallocateFlags::empty(), 0, excess).about(Step::MakeScratch, "ballast")
    }

    /// Bytes and inodes.
    fn free(&self) -> Result<(u64, u64), Failure> {
        let state = fstatvfs(&self.mount).at(Step::MeasureScratch)?;
        Ok((state.f_bavail * BLOCK, state.f_favail))
    }
}

impl Disk {
    /// Nobody reads it again: without this the unmount would first write every dirty page to a file that is about to vanish.
    fn shut_down(&self) -> Result<(), Failure> {
        // What fsmount gives is no file to be asked.
        let root = openat(&self.mount, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).at(Step::ShutDownScratch)?;
        sys::ioctl(&root, EXT4_IOC_SHUTDOWN, &mut { SHUTDOWN_WITHOUT_FLUSH })
            .at(Step::ShutDownScratch)
            .map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for result in [self.shut_down(), mounts::remove_place(&self.mount_point)] {
            if let Err(failure) = result {
                log::warning(&failure.to_string());
            }
        }
    }
}
