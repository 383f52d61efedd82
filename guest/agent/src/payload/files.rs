//! Opening what an image holds: a path never leads out of the root, through a link of /proc, onto another mount, or into a wait.
use crate::io::read_to_end;
use alloc::vec::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

/// No account file of an honest image comes near.
const FILE_BYTES: usize = 1 << 20;

/// A directory directly below `parent`, itself and not through a link.
pub fn open_child_folder(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(
        parent,
        name,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
}

/// A directory of the client's choice: links of the image count, those of /proc to descriptors do not.
pub fn open_folder(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}

/// A regular file of the image. `NONBLOCK` keeps a FIFO from waiting for its other end before it can be refused.
pub fn open_regular(path: &str, access: OFlags) -> Result<OwnedFd, Errno> {
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat2(
        CWD,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV,
    )?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        _ => Err(Errno::INVAL),
    }
}

pub fn read_regular(path: &str) -> Result<Vec<u8>, Errno> {
    let bytes = read_to_end(open_regular(path, OFlags::RDONLY)?, FILE_BYTES)?;
    if bytes.len() > FILE_BYTES {
        Err(Errno::FBIG)
    } else {
        Ok(bytes)
    }
}
