//! System calls that rustix does not have. Those that a child calls between clone and exec allocate nothing.
use rustix::io::{Errno, Result};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::convert::Infallible;
use std::ffi::{CStr, c_char};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

pub const MOUNT_ATTR_RDONLY: u64 = 0x1;
pub const MOUNT_ATTR_NOSUID: u64 = 0x2;
pub const MOUNT_ATTR_NODEV: u64 = 0x4;
const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;

#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `flags`: AT_RECURSIVE or 0. The mount is what `mount` is open on.
pub fn mount_setattr(mount: impl AsFd, flags: i32, set: u64) -> Result<()> {
    set_attributes(
        mount.as_fd(),
        flags,
        MountAttr {
            set,
            ..MountAttr::default()
        },
    )
}

/// Files of `mount` belong to the ids that they would have in the user namespace.
pub fn idmap(mount: impl AsFd, user_namespace: impl AsFd) -> Result<()> {
    let userns_fd = user_namespace.as_fd().as_raw_fd() as u64;
    set_attributes(
        mount.as_fd(),
        0,
        MountAttr {
            set: MOUNT_ATTR_IDMAP,
            userns_fd,
            ..MountAttr::default()
        },
    )
}

fn set_attributes(mount: BorrowedFd<'_>, flags: i32, attributes: MountAttr) -> Result<()> {
    let empty: &CStr = c"";
    // SAFETY: path and attributes outlive the call, and the size given is the structure's own.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            empty.as_ptr(),
            libc::AT_EMPTY_PATH | flags,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    };
    check(result).map(drop)
}

/// # Safety
/// `args` and `env` are arrays of pointers to C strings, each ended by a null pointer.
pub unsafe fn execute(program: BorrowedFd<'_>, args: *const *const c_char, env: *const *const c_char) -> Result<Infallible> {
    let empty: &CStr = c"";
    // SAFETY: as promised by the caller.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            empty.as_ptr(),
            args,
            env,
            libc::AT_EMPTY_PATH,
        )
    };
    Err(check(result).err().unwrap_or(Errno::NOEXEC))
}

/// `target` becomes a copy of `source`.
pub fn place(source: RawFd, target: RawFd, survives_exec: bool) -> Result<()> {
    let flags = if survives_exec { 0 } else { libc::O_CLOEXEC };
    // SAFETY: only called between clone and exec, where no owner of `target` looks at it again.
    check(unsafe { libc::syscall(libc::SYS_dup3, source, target, flags) }).map(drop)
}

/// A copy of `source` numbered `lowest` or above, out of the way of `place`.
pub fn move_up(source: RawFd, lowest: RawFd) -> Result<RawFd> {
    // SAFETY: changes nothing but the descriptor table.
    let fd = check(unsafe { libc::syscall(libc::SYS_fcntl, source, libc::F_DUPFD_CLOEXEC, lowest) })?;
    Ok(fd as RawFd)
}

/// One heap for all threads, and large memory that goes back as soon as it is freed: the launcher is resident, and holds a sixth less so.
pub fn keep_memory_together() {
    const LARGE: i32 = 32 << 10;
    // SAFETY: sets how memory is asked for from now on. Where either is refused, it holds more.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Online, whatever this process itself may use of them.
pub fn processors() -> u64 {
    // SAFETY: only asks.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u64::try_from(count).unwrap_or(1).max(1)
}

pub fn seccomp_can_refuse() -> bool {
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: only asks; the kernel reads one number.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

pub fn landlock_version() -> Result<i64> {
    const VERSION: u32 = 1;
    let none: *const u8 = std::ptr::null();
    // SAFETY: only asks; with this flag the kernel reads no attributes.
    check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, VERSION) })
}

pub fn landlock_restrict(rules: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes two numbers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) }).map(drop)
}

pub fn close_from(first: RawFd) -> Result<()> {
    // SAFETY: only called between clone and exec, where no owner of these descriptors looks at them again.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

pub fn default_signals() -> Result<()> {
    // SAFETY: an all-zero mask and SIG_DFL are valid; ignored signals and masks would survive the exec.
    unsafe {
        if libc::signal(libc::SIGPIPE, libc::SIG_DFL) == libc::SIG_ERR {
            return Err(Errno::INVAL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()).into()).map(drop)
    }
}

/// Blocks the signals for every thread started from here on, and lets them be read instead.
pub fn signals_as_fd(signals: &[i32]) -> Result<OwnedFd> {
    // SAFETY: an all-zero mask is valid, and the descriptor is the kernel's answer to us.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut mask);
        for signal in signals {
            libc::sigaddset(&raw mut mask, *signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const mask, std::ptr::null_mut()).into())?;
        let fd = check(libc::signalfd(-1, &raw const mask, libc::SFD_CLOEXEC).into())?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// For this thread alone: what it creates belongs to these ids, and it may do what they may.
pub fn set_file_ids(uid: u32, gid: u32) {
    // SAFETY: both calls only set ids of the calling thread; they report the old ones, never an error.
    unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsuid, uid);
    }
}

/// Every namespace, and the working folder.
pub fn unshare(flags: UnshareFlags) -> Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: the descriptor table stays shared.
    unsafe { unshare_unsafe(flags) }
}

pub fn ioctl<T>(fd: impl AsFd, request: u64, argument: &mut T) -> Result<i32> {
    // SAFETY: every request used with it takes a pointer to T.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request as libc::Ioctl, std::ptr::from_mut(argument)) };
    check(result.into()).map(|value| value as i32)
}

pub fn ioctl_none(fd: impl AsFd, request: u64) -> Result<i32> {
    // SAFETY: every request used with it takes no argument.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request as libc::Ioctl, 0) };
    check(result.into()).map(|value| value as i32)
}

fn check(result: libc::c_long) -> Result<libc::c_long> {
    if result == -1 {
        // SAFETY: errno's address is always valid.
        Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
    } else {
        Ok(result)
    }
}
