//! The disk a sandbox writes to: ext4 without a journal on a sparse file that has no name. Its size is the limit, and what is written
//! leaves the page cache under pressure, so that written files never end as OOM_KILLED.
mod disk;
mod template;

use crate::log;
use crate::spare::Spare;
use crate::step::{At, Failure, Step};
use disk::{Disk, OVERHEAD_BYTES};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, ftruncate, openat};
use rustix::io::pwrite;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use template::Templates;

pub use template::DiskTemplate;

/// With less than this left a disk counts as full: a large write is refused by folios of the page cache, and leaves less than one of them.
const FULL_BYTES: u64 = 2 << 20;
/// The same of a small disk, as a part of it.
const FULL_PART: u64 = 16;

pub struct Scratches {
    folder: OwnedFd,
    mounts: PathBuf,
    templates: Templates,
    spare: Arc<Spare<Disk>>,
}

/// Comes back as it was given out more often than not, for most programs write no file; and a disk is dear.
pub struct Scratch {
    /// `None` only while it is dropped.
    disk: Option<Disk>,
    spoilt: bool,
    spare: Arc<Spare<Disk>>,
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
            spare: Arc::default(),
        }
    }

    /// With an upper folder that belongs to `owner`.
    pub fn make(&self, id: &str, bytes: u64, owner: u32) -> Result<Scratch, Failure> {
        let fits = |disk: &Disk| disk.bytes == bytes && disk.is_new().unwrap_or(false);
        let disk = match self.spare.take(fits) {
            Some(disk) => disk,
            None => Disk::mount(self.file(bytes)?, bytes, &self.mounts, id)?,
        };
        fchown(&disk.upper, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner))).about(Step::MakeScratch, "upper")?;
        Ok(Scratch {
            disk: Some(disk),
            spoilt: false,
            spare: self.spare.clone(),
        })
    }

    /// Formatted, for a machine that mounts it itself.
    pub fn file(&self, bytes: u64) -> Result<OwnedFd, Failure> {
        self.copy(&*self.templates.get(&self.folder, bytes)?)
    }

    pub fn copy(&self, template: &DiskTemplate) -> Result<OwnedFd, Failure> {
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
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a scratch has its disk until it is dropped")
    }

    /// No other sandbox gets its disk. One that overlayfs refuses looks new: what it has against it is an error of a write long ago.
    pub fn spoil(&mut self) {
        self.spoilt = true;
    }

    pub fn usage(&self) -> Result<DiskUse, Failure> {
        let disk = self.disk();
        let free = disk.free()?;
        let full = free.bytes < OVERHEAD_BYTES + FULL_BYTES.min(disk.bytes / FULL_PART) || free.inodes == 0;
        Ok(DiskUse {
            used_bytes: disk.empty.bytes.saturating_sub(free.bytes),
            full,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let Some(mut disk) = self.disk.take() else { return };
        match disk.renew() {
            Ok(true) if !self.spoilt => self.spare.keep(disk),
            Ok(_) => {}
            Err(failure) => log::warning(&failure.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{AtFlags, CWD, fsync, unlinkat};
    use std::fs;

    const BYTES: u64 = 8 << 20;

    /// Whether the disk that `use_it` had serves the next sandbox.
    fn serves_again(scratches: &Scratches, use_it: impl FnOnce(&mut Scratch)) -> bool {
        let mut scratch = scratches.make("only", BYTES, 0).expect("a disk");
        use_it(&mut scratch);
        drop(scratch);
        let kept = scratches.spare.take(|_| true);
        kept.is_some_and(|disk| disk.is_new().expect("a look"))
    }

    #[test]
    fn a_disk_serves_again_only_as_it_was_given_out() {
        let folder = std::env::temp_dir().join(format!("caisson-scratch-{}", std::process::id()));
        let mounts = folder.join("mounts");
        fs::create_dir_all(&mounts).expect("a folder");
        let files = openat(CWD, &folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("a folder");
        let scratches = Scratches::new(files, mounts);
        let write = |scratch: &Scratch| {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = openat(&scratch.disk().upper, "secret", flags, Mode::from_raw_mode(0o600)).expect("a file");
            pwrite(&file, b"a tenant's", 0).expect("written");
            file
        };
        let remove = |scratch: &Scratch| unlinkat(&scratch.disk().upper, "secret", AtFlags::empty()).expect("removed");

        assert!(serves_again(&scratches, |_| {}));
        assert!(serves_again(&scratches, |scratch| {
            drop(write(scratch));
            remove(scratch);
        }));
        assert!(!serves_again(&scratches, |scratch| drop(write(scratch))));
        // What has reached its file stays there when it is removed.
        assert!(!serves_again(&scratches, |scratch| {
            fsync(write(scratch)).expect("on disk");
            remove(scratch);
        }));
        assert!(!serves_again(&scratches, Scratch::spoil));
        drop(scratches);
        fs::remove_dir_all(folder).expect("removed");
    }
}
