//! Whole files, and the standard streams.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;
use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, write};

const STEP_BYTES: usize = 4 << 10;

/// Of the kernel, or of a root of ours.
pub fn open(path: &str, access: OFlags) -> Result<OwnedFd, Errno> {
    openat(CWD, path, access | OFlags::CLOEXEC, Mode::empty())
}

pub fn read_text(path: &str) -> Result<String, Errno> {
    let bytes = read_to_end(open(path, OFlags::RDONLY)?, usize::MAX)?;
    String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
}

pub fn write_text(path: &str, text: &str) -> Result<(), Errno> {
    write_all(open(path, OFlags::WRONLY)?, text.as_bytes())
}

/// Stops where there are more than `most` bytes, with some of the rest.
pub fn read_to_end(file: impl AsFd, most: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    while bytes.len() <= most {
        bytes.reserve(STEP_BYTES);
        match read(&file, spare_capacity(&mut bytes)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}

pub fn write_all(file: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(&file, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

pub fn stdin() -> BorrowedFd<'static> {
    standard(0)
}

pub fn stdout() -> BorrowedFd<'static> {
    standard(1)
}

/// Nobody need hear it.
pub fn complain(what: impl Display) {
    let _ = write_all(standard(2), format!("caisson-agent: {what}\n").as_bytes());
}

fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: whoever starts an agent opens these three, and neither it nor what it clones leaves one of them closed.
    unsafe { BorrowedFd::borrow_raw(number) }
}
