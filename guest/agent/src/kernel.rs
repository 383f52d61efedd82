//! Kernel calls that rustix does not have, or has only behind more than is needed here.
use alloc::vec;
use core::arch::asm;
use core::ffi::{CStr, c_char};
use core::time::Duration;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::thread::{NanosleepRelativeResult, nanosleep};
use rustix::time::{ClockId, Timespec, clock_gettime};
use syscalls::{Sysno, syscall};

const PAGE_BYTES: usize = 4096;

fn checked(result: Result<usize, syscalls::Errno>) -> Result<usize, Errno> {
    result.map_err(|errno| Errno::from_raw_os_error(errno.into_raw()))
}

pub struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

pub enum Side {
    Parent(Child),
    Child,
}

/// A fork with `namespaces`. Both sides go on with all of Rust, for the agent and what it clones have a single thread.
pub fn clone(namespaces: u64) -> Result<Side, Errno> {
    let mut pidfd: RawFd = -1;
    // SAFETY: zero is a valid value of every field.
    let mut arguments: libc::clone_args = unsafe { core::mem::zeroed() };
    arguments.flags = namespaces | libc::CLONE_PIDFD as u64;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM the child has a copy of this memory and goes on on its copy of this stack; no other thread exists
    // whose locks could be left taken in it.
    match checked(unsafe { syscall!(Sysno::clone3, &raw const arguments, size_of_val(&arguments)) })? {
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: the kernel has just opened this descriptor for us.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent(Child { pid: pid as i32, pidfd }))
        }
    }
}

/// Ends this process at once: what a clone inherited (buffers, destructors) is not its own.
pub fn leave(code: i32) -> ! {
    loop {
        // SAFETY: takes a number, and does not come back.
        let _ = unsafe { syscall!(Sysno::exit_group, code) };
    }
}

/// -1 is no descriptor: such an entry is passed over.
pub fn poll(wanted: &mut [libc::pollfd], wait: bool) -> Result<(), Errno> {
    // SAFETY: pointer and length are of one slice.
    let result = unsafe { syscall!(Sysno::poll, wanted.as_mut_ptr(), wanted.len(), if wait { -1_i32 } else { 0 }) };
    match checked(result) {
        Err(Errno::INTR) => Ok(()),
        other => other.map(drop),
    }
}

/// `number` may be a real-time signal.
pub fn send_signal(pidfd: BorrowedFd<'_>, number: u32) -> Result<(), Errno> {
    // SAFETY: the null pointer stands for default signal information.
    checked(unsafe { syscall!(Sysno::pidfd_send_signal, pidfd.as_raw_fd(), number, 0, 0) }).map(drop)
}

/// `leader`: above 1.
pub fn signal_group(leader: i32, number: u32) -> Result<(), Errno> {
    // SAFETY: takes two numbers.
    checked(unsafe { syscall!(Sysno::kill, -leader, number) }).map(drop)
}

/// Waits for any child: its pid, and the raw status.
pub fn wait_for_child() -> Result<(i32, i32), Errno> {
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call, and the null pointer stands for no report of what the child used.
        let result = unsafe { syscall!(Sysno::wait4, -1_i32, &raw mut status, libc::__WALL, 0) };
        match checked(result) {
            Err(Errno::INTR) => {}
            result => return result.map(|pid| (pid as i32, status)),
        }
    }
}

/// A child that ends at once.
pub fn fork_and_wait() -> Result<(), Errno> {
    // SAFETY: this process has a single thread, and the child does nothing but end.
    match checked(unsafe { syscall!(Sysno::fork) })? {
        0 => leave(0),
        _ => wait_for_child().map(drop),
    }
}

/// Reads one byte of each page, through a mapping as that of a program or library.
pub fn touch(file: &OwnedFd, bytes: usize) -> Result<(), Errno> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: the kernel chooses a place that nothing else has.
    let start = checked(unsafe { syscall!(Sysno::mmap, 0, bytes, protection, libc::MAP_PRIVATE, file.as_raw_fd(), 0) })?;
    for at in (0..bytes).step_by(PAGE_BYTES) {
        // SAFETY: the caller sees to it that the file is as long, so the mapping has this byte.
        unsafe { core::ptr::with_exposed_provenance::<u8>(start + at).read_volatile() };
    }
    Ok(())
}

/// SIGKILL to every process of this pid namespace but its first.
pub fn kill_all_others() -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    checked(unsafe { syscall!(Sysno::kill, -1_i32, libc::SIGKILL) }).map(drop)
}

pub fn prctl(option: i32, value: u64) -> Result<(), Errno> {
    // SAFETY: the options used here take numbers only.
    checked(unsafe { syscall!(Sysno::prctl, option, value, 0, 0, 0) }).map(drop)
}

/// Descriptors from `first` on.
pub fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: what is closed is not used again: callers keep none of it.
    checked(unsafe { syscall!(Sysno::close_range, first, u32::MAX, 0) }).map(drop)
}

/// Returns only where the program could not be executed. Each list ends with a null pointer.
pub fn execute(path: &CStr, args: &[*const c_char], env: &[*const c_char]) -> Errno {
    debug_assert!([args, env].iter().all(|list| list.last().is_some_and(|last| last.is_null())));
    // SAFETY: path and strings end with a zero, the lists with a null pointer, and all outlive the call.
    let result = unsafe { syscall!(Sysno::execve, path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    checked(result).err().unwrap_or(Errno::IO)
}

pub fn load_module(file: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the empty string of parameters is a constant.
    checked(unsafe { syscall!(Sysno::finit_module, file.as_raw_fd(), c"".as_ptr(), 0) }).map(drop)
}

pub fn interface_up(socket: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request outlives the call.
    checked(unsafe { syscall!(Sysno::ioctl, socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) }).map(drop)
}

/// Credited in full, and the generator starts anew with it.
pub fn add_entropy(bytes: &[u8]) -> Result<(), Errno> {
    const RNDADDENTROPY: u32 = 0x4008_5203;
    const RNDRESEEDCRNG: u32 = 0x5207;
    let random = openat(CWD, c"/dev/urandom", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    // struct rand_pool_info: bits, bytes, the pool itself.
    let mut info = vec![0_u32; 2 + bytes.len().div_ceil(4)];
    info[0] = bytes.len() as u32 * 8;
    info[1] = bytes.len() as u32;
    for (word, part) in info[2..].iter_mut().zip(bytes.chunks(4)) {
        let mut padded = [0; 4];
        padded[..part.len()].copy_from_slice(part);
        *word = u32::from_ne_bytes(padded);
    }
    // SAFETY: the kernel reads as many bytes of the pool as the second number says, and the vector has them.
    checked(unsafe { syscall!(Sysno::ioctl, random.as_raw_fd(), RNDADDENTROPY, info.as_ptr()) })?;
    // SAFETY: takes no argument.
    checked(unsafe { syscall!(Sysno::ioctl, random.as_raw_fd(), RNDRESEEDCRNG) }).map(drop)
}

/// The kernel's own structure; a zero handler is the default action.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

fn set_action(signal: i32, action: &Action) {
    // SAFETY: the structure is the kernel's and runs nobody's code; the old one is not asked for. KILL and STOP refuse, rightly.
    let _ = unsafe { syscall!(Sysno::rt_sigaction, signal, &raw const *action, 0, size_of::<u64>()) };
}

/// A pipe or channel whose other end is gone is told by the write.
pub fn ignore_broken_pipes() {
    let handler = libc::SIG_IGN;
    set_action(
        libc::SIGPIPE,
        &Action {
            handler,
            ..Action::default()
        },
    );
}

/// An ignored one would survive an execve.
pub fn default_signals() {
    (1..=64).for_each(|signal| set_action(signal, &Action::default()));
    let none = 0_u64;
    // SAFETY: the set outlives the call, and the old one is not asked for.
    let _ = unsafe { syscall!(Sysno::rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0, size_of::<u64>()) };
}

/// One byte to a device of the machine's oldest kind.
pub fn write_port(port: u16, value: u8) -> Result<(), Errno> {
    // SAFETY: takes numbers only, and lets this thread write to one port.
    let may = |on: bool| checked(unsafe { syscall!(Sysno::ioperm, port, 1, on) }).map(drop);
    may(true)?;
    // SAFETY: touches no memory; the port is this thread's to write to.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
    may(false)
}

/// How long the machine runs.
pub fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

pub fn sleep(time: Duration) {
    let mut left = Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: time.subsec_nanos().into(),
    };
    while let NanosleepRelativeResult::Interrupted(rest) = nanosleep(&left) {
        left = rest;
    }
}
