//! The tree of the layers below, mounted read-only: asked for what this layer leaves out.

use crate::attributes::{Attributes, Xattr, clamp_time, device_number};
use crate::refuse::{Reason, Stop, shown};
use rustix::fs::{FileType, Mode, OFlags, RawDir, ResolveFlags, Stat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

pub struct Lower {
    root: OwnedFd,
}

/// What a name in the lower tree is.
pub struct Found {
    pub attributes: Attributes,
    pub kind: FoundKind,
}

pub enum FoundKind {
    Directory,
    File(File, u64),
    Symlink(Vec<u8>),
    CharDevice(u32),
    BlockDevice(u32),
    Fifo,
}

impl Lower {
    pub fn open(path: &Path) -> Result<Self, Stop> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(path.as_os_str().as_encoded_bytes(), error))?;
        Ok(Self { root })
    }

    /// `path` is relative and passes through directories only: where one of them is something else, there is nothing.
    pub fn look(&self, path: &[u8]) -> Result<Option<Found>, Stop> {
        use rustix::io::Errno;
        let node = match self.at(path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(node) => node,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(failed(path, error)),
        };
        let stat = rustix::fs::fstat(&node).map_err(|error| failed(path, error))?;
        let Some(kind) = self.kind(path, &node, &stat)? else {
            return Ok(None);
        };
        let attributes = Attributes {
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: clamp_time(stat.st_mtime),
            xattrs: self.xattrs(path, &kind)?,
        };
        Ok(Some(Found { attributes, kind }))
    }

    /// The names in the root directory.
    pub fn root_names(&self) -> Result<Vec<Vec<u8>>, Stop> {
        let root = self
            .at(b".", OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|error| failed(b".", error))?;
        let mut buffer = Vec::with_capacity(32 << 10);
        // `Dir` would open the directory once more, by a call that is not allowed here.
        let mut entries = RawDir::new(&root, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| failed(b".", error))?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name => names.push(name.to_vec()),
            }
        }
        Ok(names)
    }

    fn kind(&self, path: &[u8], node: &OwnedFd, stat: &Stat) -> Result<Option<FoundKind>, Stop> {
        let number = device_number(
            u64::from(rustix::fs::major(stat.st_rdev)),
            u64::from(rustix::fs::minor(stat.st_rdev)),
        );
        Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => FoundKind::Directory,
            FileType::RegularFile => {
                let file = self
                    .at(path, OFlags::RDONLY | OFlags::NOFOLLOW)
                    .map_err(|error| failed(path, error))?;
                FoundKind::File(file.into(), stat.st_size as u64)
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(node, c"", Vec::new()).map_err(|error| failed(path, error))?;
                FoundKind::Symlink(target.into_bytes())
            }
            // A whiteout, where only one layer is below and no overlay interprets it.
            FileType::CharacterDevice if stat.st_rdev == 0 => return Ok(None),
            FileType::CharacterDevice => FoundKind::CharDevice(number.unwrap_or_default()),
            FileType::BlockDevice => FoundKind::BlockDevice(number.unwrap_or_default()),
            _ => FoundKind::Fifo,
        }))
    }

    /// Only what can be opened without effect is asked: nothing else may have `user.*`, and file capabilities are for files.
    fn xattrs(&self, path: &[u8], kind: &FoundKind) -> Result<Vec<Xattr>, Stop> {
        match kind {
            FoundKind::File(file, _) => xattrs_of(file).map_err(|error| failed(path, error)),
            FoundKind::Directory => {
                let opened = self.at(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW);
                opened
                    .and_then(|directory| xattrs_of(&directory))
                    .map_err(|error| failed(path, error))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn at(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }
}

fn xattrs_of(file: &impl std::os::fd::AsFd) -> rustix::io::Result<Vec<Xattr>> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::flistxattr(file, &mut names) {
        // A file system that knows none at all.
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        length => length?,
    };
    let mut value = Vec::new();
    let mut xattrs = Vec::new();
    for name in names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        value.resize(64 << 10, 0);
        let length = rustix::fs::fgetxattr(file, name, &mut value)?;
        xattrs.push(Xattr {
            name: name.to_vec(),
            value: value[..length].to_vec(),
        });
    }
    Ok(xattrs)
}

fn failed(path: &[u8], error: rustix::io::Errno) -> Stop {
    Stop::Refused(Reason::ConversionFailed, format!("lower layers: {}: {error}", shown(path)))
}
