//! A scratch disk's file system: mounted until it is dropped.
use super::template::BLOCK;
use crate::log;
use crate::loops::Loop;
use crate::mounts::{self, Option as Set};
use crate::step::{At, Failure, Step};
use crate::sys;
use rustix::fs::{
    AtFlags, Dir, FallocateFlags, Mode, OFlags, ResolveFlags, fallocate, fstat, fstatvfs, mkdirat, openat, openat2, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const EXT4_IOC_SHUTDOWN: u64 = 0x8004_587D;
const SHUTDOWN_WITHOUT_FLUSH: u32 = 2;
/// Folders of the overlay, and what maps a file's blocks: so that a file of exactly the size asked for has room.
pub const OVERHEAD_BYTES: u64 = 16 * BLOCK;
const MOUNT_POINTS: usize = 8;

pub struct Disk {
    pub bytes: u64,
    pub upper: OwnedFd,
    pub work: OwnedFd,
    pub empty: Free,
    mount: OwnedFd,
    mount_point: PathBuf,
    file: OwnedFd,
    /// Of the file, when the disk was made.
    blocks: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Free {
    pub bytes: u64,
    pub inodes: u64,
}

impl Disk {
    /// `file` is formatted. A ballast leaves its user exactly `bytes`.
    pub fn mount(file: OwnedFd, bytes: u64, mounts: &Path, id: &str) -> Result<Self, Failure> {
        let device = Loop::attach(&file, false)?;
        let flags = ["noinit_itable", "nobarrier", "noauto_da_alloc"].map(Set::Flag);
        let options: Vec<Set<'_>> = flags.into_iter().chain([Set::Text("source", &device.path)]).collect();
        let attributes =
            MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOATIME;
        let mount = mounts::make(Step::MountScratch, "ext4", &options, attributes)?;
        let mount_point = mounts::place(mounts, id)?;
        let made = mounts::attach(&mount, &mount_point).and_then(|()| Self::furnish(mount, mount_point.clone(), file, bytes));
        if made.is_err() {
            let _ = mounts::remove_place(&mount_point);
        }
        made
    }

    fn furnish(mount: OwnedFd, mount_point: PathBuf, file: OwnedFd, bytes: u64) -> Result<Self, Failure> {
        let (upper, work) = folders(&mount)?;
        load_down(&mount, bytes)?;
        Ok(Self {
            bytes,
            upper,
            work,
            empty: free(&mount)?,
            mount,
            mount_point,
            blocks: blocks(&file)?,
            file,
        })
    }

    /// Number of the block device below.
    pub fn device(&self) -> Result<u64, Failure> {
        Ok(fstat(&self.upper).at(Step::MeasureScratch)?.st_dev)
    }

    pub fn free(&self) -> Result<Free, Failure> {
        free(&self.mount)
    }

    /// Takes away what every run leaves, and makes folders that nobody has used. False when a file is left, or data of a run.
    pub fn renew(&mut self) -> Result<bool, Failure> {
        self.remove_hosts();
        // What a volatile overlay leaves of its own, and the agent where an image has no /proc, say.
        let _ = unlinkat(&self.work, "work/incompat/volatile/dirty", AtFlags::empty());
        let left = ["/work/incompat/volatile", "/work/incompat", "/work", ""].map(|path| format!("work{path}"));
        let points = self.upper_names()?.into_iter().map(|name| format!("upper/{name}"));
        for path in points.chain(left).chain(["upper".to_owned()]) {
            match unlinkat(&self.mount, &path, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::NOTDIR) => return Ok(false),
                Err(error) => return Err(error).about(Step::RenewScratch, path),
            }
        }
        (self.upper, self.work) = folders(&self.mount)?;
        self.is_unwritten()
    }

    /// Whether as much is free as when it was made. After `renew` that may take a moment: a child that another sandbox is about to have begins
    /// with a copy of all descriptors, and as long as it did not close them, what this disk had before stays.
    pub fn is_new(&self) -> Result<bool, Failure> {
        Ok(self.free()? == self.empty && self.is_unwritten()?)
    }

    /// Nothing of what was written, be it removed again, has come as far as the file: what ext4 used from the start is in there, and whatever
    /// it writes elsewhere makes the file grow. So does what it writes by itself after half a minute: a disk is used no longer.
    fn is_unwritten(&self) -> Result<bool, Failure> {
        Ok(blocks(&self.file)? == self.blocks)
    }

    /// The one file that the agent writes. A folder of the run's is no place to follow links in.
    fn remove_hosts(&self) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(etc) = openat2(&self.upper, "etc", flags, Mode::empty(), resolve) {
            // Whatever it leaves is found by what follows.
            let _ = unlinkat(etc, "hosts", AtFlags::empty());
        }
    }

    /// No more than a few: with others left over, the removal of `upper` fails.
    fn upper_names(&self) -> Result<Vec<String>, Failure> {
        let entries = Dir::read_from(&self.upper).about(Step::RenewScratch, "upper")?;
        let names = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| name != "." && name != "..").take(MOUNT_POINTS).collect())
    }

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

/// `upper` is to belong to a sandbox, `work` is the overlay's own.
fn folders(mount: &OwnedFd) -> Result<(OwnedFd, OwnedFd), Failure> {
    Ok((folder(mount, "upper", 0o755)?, folder(mount, "work", 0o700)?))
}

fn folder(mount: &OwnedFd, name: &str, mode: u32) -> Result<OwnedFd, Failure> {
    mkdirat(mount, name, Mode::from_raw_mode(mode)).about(Step::MakeScratch, name)?;
    openat(mount, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).about(Step::MakeScratch, name)
}

fn load_down(mount: &OwnedFd, bytes: u64) -> Result<(), Failure> {
    let excess = free(mount)?.bytes.saturating_sub(bytes + OVERHEAD_BYTES);
    if excess == 0 {
        return Ok(());
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let ballast = openat(mount, "ballast", flags, Mode::from_raw_mode(0o600)).about(Step::MakeScratch, "ballast")?;
    fallocate(ballast, FallocateFlags::empty(), 0, excess).about(Step::MakeScratch, "ballast")
}

fn blocks(file: &OwnedFd) -> Result<i64, Failure> {
    Ok(fstat(file).at(Step::MeasureScratch)?.st_blocks)
}

fn free(mount: &OwnedFd) -> Result<Free, Failure> {
    let state = fstatvfs(mount).at(Step::MeasureScratch)?;
    Ok(Free {
        bytes: state.f_bavail * BLOCK,
        inodes: state.f_favail,
    })
}
