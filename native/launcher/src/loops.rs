use crate::step::{At, Failure, Step};
use crate::sys;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

const LOOP_CTL_GET_FREE: u64 = 0x4C82;
const LOOP_CONFIGURE: u64 = 0x4C0A;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Others take loop devices too: between asking for a free one and taking it, it may be gone.
const TRIES: usize = 64;

/// A file as a block device. It ceases to be one when this is dropped and no mount uses it any more, whatever happens to us.
pub struct Loop {
    pub path: String,
    _device: OwnedFd,
}

#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

impl Loop {
    pub fn attach(file: impl AsFd, read_only: bool) -> Result<Self, Failure> {
        let control = openat(CWD, "/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .about(Step::Loop, "/dev/loop-control")?;
        for _ in 0..TRIES {
            let number = sys::ioctl_none(&control, LOOP_CTL_GET_FREE).about(Step::Loop, "LOOP_CTL_GET_FREE")?;
            let path = format!("/dev/loop{number}");
            let device = match openat(CWD, &path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
                Ok(device) => device,
                // Somebody removed it again.
                Err(Errno::NOENT | Errno::NXIO) => continue,
                Err(error) => return Err(error).about(Step::Loop, &path),
            };
            match sys::ioctl(&device, LOOP_CONFIGURE, &mut configuration(&file, read_only)) {
                Ok(_) => return Ok(Self { path, _device: device }),
                Err(Errno::BUSY) => {}
                Err(error) => return Err(error).about(Step::Loop, &path),
            }
        }
        Err(Errno::BUSY).about(Step::Loop, "every free one was taken by others")
    }
}

fn configuration(file: &impl AsFd, read_only: bool) -> Config {
    // SAFETY: all fields are numbers, for which zero is valid and means the default.
    let mut config: Config = unsafe { std::mem::zeroed() };
    config.fd = file.as_fd().as_raw_fd() as u32;
    config.info.flags = LO_FLAGS_AUTOCLEAR | if read_only { LO_FLAGS_READ_ONLY } else { 0 };
    config
}
