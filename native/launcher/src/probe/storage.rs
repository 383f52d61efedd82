//! Layers, disks and roots, made of an empty image in memory.
use super::{Fact, told};
use crate::clone;
use crate::layer_key::LayerKey;
use crate::layers::Layers;
use crate::loops::Loop;
use crate::mounts::{self, Option as Set};
use crate::namespaces::leave_host;
use crate::overlay::{self, Stages};
use crate::scratch::Scratches;
use crate::step::{At, Failure, Step};
use crate::sys;
use crate::uids::{UidRange, Uids};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, write};
use rustix::mount::MountAttrFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::UnshareFlags;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A squashfs without any file.
const EMPTY: &[u8] = include_bytes!("empty.sqfs");
/// There on every machine; in a mount namespace of our own a tmpfs hides it.
const ROOM: &str = "/run";
const DISK_BYTES: u64 = 16 << 20;

/// Each needs the ones before it.
pub fn facts() -> Vec<Fact> {
    let names = ["loop device", "squashfs", "scratch disk", "idmapped squashfs", "overlay"];
    let mut broken: Option<&str> = None;
    let mut room = Room::make();
    let mut facts = Vec::new();
    for name in names {
        let tried = match (&mut room, broken) {
            (Err(failure), _) => Err(told(failure)),
            (Ok(_), Some(earlier)) => Err(format!("not tried, for {earlier} does not work")),
            (Ok(room), None) => room
                .try_one(name)
                .map(|()| detail(name).into())
                .map_err(|failure| told(&failure)),
        };
        broken = broken.or(tried.is_err().then_some(name));
        facts.push(Fact::needed(name, tried));
    }
    facts
}

fn detail(name: &str) -> &'static str {
    match name {
        "loop device" => "LOOP_CONFIGURE",
        "squashfs" => "layers are mounted as they are",
        "scratch disk" => "ext4, by mkfs.ext4",
        "idmapped squashfs" => "every sandbox has ids of its own",
        _ => "of idmapped layers and a scratch disk",
    }
}

struct Room {
    folder: OwnedFd,
    layers: Layers,
    scratches: Scratches,
    stages: Stages,
    range: UidRange,
}

impl Room {
    fn make() -> Result<Self, Failure> {
        // Before the host's tree is out of sight: a disk's file must lie where large files may.
        let files = folder(&std::env::temp_dir())?;
        leave_host()?;
        let tmpfs = mounts::make(
            Step::MakeFolder,
            "tmpfs",
            &[Set::Text("mode", "0700")],
            MountAttrFlags::empty(),
        )?;
        mounts::attach(tmpfs, Path::new(ROOM))?;
        let mounts = mounts::place(Path::new(ROOM), "mounts")?;
        fs::write(Path::new(ROOM).join(key()?.file_name()), EMPTY).about(Step::OpenLayer, "empty")?;
        let uids: &'static Uids = Box::leak(Box::new(Uids::new()?));
        Ok(Self {
            folder: folder(Path::new(ROOM))?,
            layers: Layers::new(folder(Path::new(ROOM))?, mounts.clone()),
            stages: Stages::make(&mounts)?,
            scratches: Scratches::new(files, mounts),
            range: uids.take()?,
        })
    }

    fn try_one(&mut self, name: &str) -> Result<(), Failure> {
        match name {
            "loop device" => self.try_loop(),
            "squashfs" => self.layers.take(&key()?).map(drop),
            "scratch disk" => self.scratches.make("disk", DISK_BYTES, self.range.first).map(drop),
            "idmapped squashfs" => overlay::idmapped_clone(&*self.layers.take(&key()?)?, user_namespace(&self.range)?).map(drop),
            _ => self.try_overlay(),
        }
    }

    fn try_loop(&self) -> Result<(), Failure> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.folder, key()?.file_name(), flags, Mode::empty()).about(Step::OpenLayer, "empty")?;
        Loop::attach(file, true).map(drop)
    }

    fn try_overlay(&self) -> Result<(), Failure> {
        let layers = [self.layers.take(&key()?)?];
        let scratch = self.scratches.make("upper", DISK_BYTES, self.range.first)?;
        let mut stage = self.stages.stage("overlay")?;
        overlay::writable(&layers, user_namespace(&self.range)?, &self.range, &scratch, &mut stage).map(drop)
    }
}

fn key() -> Result<LayerKey, Failure> {
    LayerKey::parse(&format!("sha256-{}", "0".repeat(64)))
        .ok_or(Errno::INVAL)
        .at(Step::OpenLayer)
}

fn folder(path: &Path) -> Result<OwnedFd, Failure> {
    openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).about(Step::OpenFolder, path.display())
}

/// Of a child that is gone when this returns.
fn user_namespace(range: &UidRange) -> Result<OwnedFd, Failure> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).at(Step::Clone)?;
    // SAFETY: this process has one thread, and the child only makes system calls and exits.
    match unsafe { clone::fork() }.at(Step::Clone)? {
        None => {
            drop(ours);
            let made = sys::unshare(UnshareFlags::NEWUSER).is_ok();
            let _ = write(&theirs, if made { b"y" } else { b"n" });
            let _ = read(&theirs, &mut [0]);
            // SAFETY: ends the child, with nothing of the parent's to run at exit.
            unsafe { libc::_exit(0) }
        }
        Some(child) => {
            drop(theirs);
            read(&ours, &mut [0; 1]).at(Step::WaitForChild)?;
            let process = PathBuf::from(format!("/proc/{}", child.pid));
            fs::write(process.join("uid_map"), range.whole_map()).about(Step::MapIds, "uid_map")?;
            fs::write(process.join("gid_map"), range.whole_map()).about(Step::MapIds, "gid_map")?;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            openat(CWD, process.join("ns/user"), flags, Mode::empty()).about(Step::OpenNamespace, "user")
        }
    }
}
