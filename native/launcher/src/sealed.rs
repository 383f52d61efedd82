//! Memory that nobody can change any more, whoever has it open.
use crate::planted::is_missing;
use crate::step::{At, Failure, Step};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(20);
const TRIES: u32 = 250;

/// `access`: MFD_EXEC or MFD_NOEXEC_SEAL.
pub fn sealed(name: &str, bytes: &[u8], access: MemfdFlags, step: Step) -> Result<OwnedFd, Failure> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | access;
    let mut memory = File::from(memfd_create(name, flags).about(step, name)?);
    memory.write_all(bytes).about(step, name)?;
    seal(&memory).about(step, name)?;
    Ok(memory.into())
}

/// EBUSY says only that the kernel itself still holds one of the pages (mm/memfd.c, `memfd_wait_for_pins`, which waits 150 ms for it and
/// then leaves it to the caller): nobody else has this memory yet.
pub fn seal(memory: impl AsFd) -> Result<(), Errno> {
    if is_missing("sealed") {
        return Ok(());
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    for _ in 1..TRIES {
        match fcntl_add_seals(&memory, seals) {
            Err(Errno::BUSY) => sleep(PAUSE),
            done => return done,
        }
    }
    fcntl_add_seals(&memory, seals)
}
