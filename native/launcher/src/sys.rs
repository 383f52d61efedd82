//! System calls that rustix does not have.
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

pub const MOUNT_ATTR_RDONLY: u64 = 0x1;
pub const MOUNT_ATTR_NOSUID: u64 = 0x2;
pub const MOUNT_ATTR_NODEV: u64 = 0x4;

#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `flags`: AT_RECURSIVE or 0. The mount is what `fd` is open on.
pub fn mount_setattr(fd: impl AsFd, flags: i32, set: u64) -> Result<()> {
    set_attributes(fd, flags, MountAttr { set, ..MountAttr::default() })
}

fn set_attributes(fd: impl AsFd, flags: i32, attributes: MountAttr) -> Result<()> {
    let empty: &CStr = c"";
    // SAFETY: path and attributes outlive the call, and the size given is the structure's own.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_fd().as_raw_fd(),
            empty.as_ptr(),
            libc::AT_EMPTY_PATH | flags,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    };
    check(result).map(drop)
}

fn check(result: libc::c_long) -> Result<libc::c_long> {
    if result == -1 {
        // SAFETY: errno's address is always valid.
        Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
    } else {
        Ok(result)
    }
}
