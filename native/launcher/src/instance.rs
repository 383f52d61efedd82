//! The folders of one instance, and the lock on its name.
use crate::args::Serve;
use crate::step::{At, Failure, Step};
use rustix::fs::{CWD, FlockOperation, Gid, Mode, OFlags, Uid, fchmod, fchown, flock, mkdirat, open, openat};
use rustix::io::Errno;
use std::fs::{create_dir_all, remove_dir, remove_file};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

#[derive(Clone, Copy)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

pub struct Instance {
    pub name: String,
    pub worker: Owner,
    /// `/run/caisson/NAME`
    pub run: PathBuf,
    /// The worker owns this folder; launcher.sock itself lies in one that it cannot change.
    pub channels: OwnedFd,
    _lock: OwnedFd,
}

/// Below the state folder.
pub struct State {
    pub layers: OwnedFd,
    pub scratch: OwnedFd,
    pub spool: OwnedFd,
    /// The worker reads there.
    pub consoles: OwnedFd,
}

impl Instance {
    pub fn take(command: &Serve) -> Result<Self, Failure> {
        let worker = Owner {
            uid: command.worker_uid,
            gid: command.worker_gid,
        };
        let run = Path::new("/run/caisson").join(&command.name);
        create_dir_all(&run).about(Step::MakeFolder, run.display())?;
        let path = run.join("lock");
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = openat(CWD, &path, flags, Mode::from_raw_mode(0o600)).about(Step::Lock, path.display())?;
        take_lock(&lock, "another launcher serves this name", &path)?;
        Ok(Self {
            name: command.name.clone(),
            worker,
            channels: folder(&run.join("channels"), worker, 0o700)?,
            run,
            _lock: lock,
        })
    }

    /// When the launcher ends in order. What others put there stays.
    pub fn leave(&self) {
        for name in ["channels", "mounts", "roots", "lock", ""] {
            let _ = remove_file(self.run.join(name)).or_else(|_| remove_dir(self.run.join(name)));
        }
    }

    /// An empty folder below `/run/caisson/NAME`, to mount something on.
    pub fn mount_point(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.run.join(name);
        folder(&path, Owner { uid: 0, gid: 0 }, 0o700)?;
        Ok(path)
    }
}

impl State {
    pub fn open(path: &Path, worker: Owner) -> Result<Self, Failure> {
        let (root, shared) = (Owner { uid: 0, gid: 0 }, Owner { uid: 0, gid: worker.gid });
        create_dir_all(path).about(Step::MakeFolder, path.display())?;
        folder(&path.join("layers"), shared, 0o750)?;
        let layers = folder(&path.join("layers/v1"), shared, 0o750)?;
        // Another one would not know what this one's runs use.
        take_lock(&layers, "another launcher serves this state folder", path)?;
        Ok(Self {
            layers,
            scratch: folder(&path.join("scratch"), root, 0o700)?,
            spool: folder(&path.join("spool"), root, 0o700)?,
            consoles: folder(&path.join("consoles"), shared, 0o750)?,
        })
    }
}

fn folder(path: &Path, owner: Owner, mode: u32) -> Result<OwnedFd, Failure> {
    match mkdirat(CWD, path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error).about(Step::MakeFolder, path.display()),
    }
    // Never through a symbolic link: its owner would choose what root changes.
    let folder = open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .about(Step::OpenFolder, path.display())?;
    fchown(&folder, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid))).about(Step::OwnFolder, path.display())?;
    fchmod(&folder, Mode::from_raw_mode(mode)).about(Step::OwnFolder, path.display())?;
    Ok(folder)
}

/// A predecessor that was just killed may hold its lock for a moment more, in a child that did not execute yet.
fn take_lock(lock: &OwnedFd, holder: &str, path: &Path) -> Result<(), Failure> {
    for _ in 0..20 {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) => sleep(Duration::from_millis(100)),
            Err(error) => return Err(error).about(Step::Lock, path.display()),
        }
    }
    Err(Errno::WOULDBLOCK).about(Step::Lock, format_args!("{} ({holder})", path.display()))
}
