//! The disk a sandbox writes to: ext4 without a journal on a sparse file that has no name. Its size is the limit, and what is written
//! leaves the page cache under pressure, so that written files never end as OOM_KILLED.
mod template;

use crate::log;
use crate::loops::Loop;
use crate::mounts::{self, Option as Set};
use crate::step::{At, Failure, Step};
use crate::sys;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, fstatvfs, ftruncate, mkdirat, openat};
use rustix::io::pwrite;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use template::{BLOCK, Templates};

const EXT4_IOC_SHUTDOWN: u64 = 0x8004_587D;
const SHUTDOWN_WITHOUT_FLUSH: u32 = 2;
/// With less than this left a disk counts as full: a writer that was refused leaves no more than parts of a block or two per processor.
const FULL_BYTES: u64 = 64 << 10;

pub struct Scratches {
    folder: OwnedFd,
    mounts: PathBuf,
    templates: Templates,
}

pub struct Scratch {
    pub bytes: u64,
    mount_point: PathBuf,
    mount: OwnedFd,
    empty_bytes: u64,
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

    /// `upper` in it belongs to `owner`, and `work` is the overlay's own.
    pub fn make(&self, id: &str, bytes: u64, owner: u32) -> Result<Scratch, Failure> {
        let device = Loop::attach(self.file(bytes)?, false)?;
        let options = [
            Set::Text("source", &device.path),
            Set::Flag("noinit_itable"),
            Set::Flag("nobarrier"),
            Set::Flag("noauto_da_alloc"),
        ];
        let attributes =
            MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOATIME;
        let mount = mounts::make(Step::MountScratch, "ext4", &options, attributes)?;
        let mount_point = mounts::place(&self.mounts, id)?;
        let mut scratch = Scratch {
            bytes,
            mount_point,
            mount,
            empty_bytes: 0,
        };
        mounts::attach(&scratch.mount, &scratch.mount_point)?;
        scratch.furnish(owner)?;
        Ok(scratch)
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
    fn furnish(&mut self, owner: u32) -> Result<(), Failure> {
        for (name, mode) in [("upper", 0o755), ("work", 0o700)] {
            mkdirat(&self.mount, name, Mode::from_raw_mode(mode)).about(Step::MakeScratch, name)?;
        }
        let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
        chownat(&self.mount, "upper", Some(uid), Some(gid), AtFlags::empty()).about(Step::MakeScratch, "upper")?;
        self.empty_bytes = self.free()?.0;
        Ok(())
    }

    pub fn folder(&self, name: &str) -> String {
        self.mount_point.join(name).to_string_lossy().into_owned()
    }

    pub fn upper(&self) -> Result<OwnedFd, Failure> {
        openat(&self.mount, "upper", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).about(Step::MakeScratch, "upper")
    }

    pub fn usage(&self) -> Result<DiskUse, Failure> {
        let (free, inodes) = self.free()?;
        Ok(DiskUse {
            used_bytes: self.empty_bytes.saturating_sub(free),
            full: free < FULL_BYTES || inodes == 0,
        })
    }

    /// Bytes and inodes.
    fn free(&self) -> Result<(u64, u64), Failure> {
        let state = fstatvfs(&self.mount).at(Step::MeasureScratch)?;
        Ok((state.f_bavail * BLOCK, state.f_favail))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody reads it again: without this the unmount would first write every dirty page to a file that is about to vanish.
        let _ = sys::ioctl(&self.mount, EXT4_IOC_SHUTDOWN, &mut { SHUTDOWN_WITHOUT_FLUSH });
        if let Err(failure) = mounts::remove_place(&self.mount_point) {
            log::warning(&failure.to_string());
        }
    }
}
