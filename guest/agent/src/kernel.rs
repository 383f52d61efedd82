//! Kernel calls that rustix does not have, or has only behind more than is needed here.
use rustix::io::Errno;
use std::arch::asm;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

const PAGE_BYTES: usize = 4096;

pub fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

fn checked(result: libc::c_long) -> Result<(), Errno> {
    if result == -1 { Err(last_errno()) } else { Ok(()) }
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
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = namespaces | libc::CLONE_PIDFD as u64;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM the child has a copy of this memory and goes on on its copy of this stack; no other thread exists
    // whose locks could be left taken in it.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) };
    match pid {
        -1 => Err(last_errno()),
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
    // SAFETY: takes no pointers.
    unsafe { libc::_exit(code) }
}

/// -1 is no descriptor: such an entry is passed over.
pub fn poll(wanted: &mut [libc::pollfd], wait: bool) -> Result<(), Errno> {
    // SAFETY: pointer and length are of one slice.
    let result = unsafe { libc::poll(wanted.as_mut_ptr(), wanted.len() as libc::nfds_t, if wait { -1 } else { 0 }) };
    match checked(result.into()) {
        Err(Errno::INTR) => Ok(()),
        other => other,
    }
}

/// `number` may be a real-time signal.
pub fn send_signal(pidfd: BorrowedFd<'_>, number: u32) -> Result<(), Errno> {
    // SAFETY: the null pointer stands for default signal information.
    checked(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            number,
            std::ptr::null::<u8>(),
            0,
        )
    })
}

/// `leader`: above 1.
pub fn signal_group(leader: i32, number: u32) -> Result<(), Errno> {
    // SAFETY: takes two numbers.
    checked(unsafe { libc::kill(-leader, number as i32) }.into())
}

/// Waits for any child: its pid, and the raw status.
pub fn wait_for_child() -> Result<(i32, i32), Errno> {
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
        match pid {
            -1 if last_errno() == Errno::INTR => {}
            -1 => return Err(last_errno()),
            pid => return Ok((pid, status)),
        }
    }
}

/// A child that ends at once.
pub fn fork_and_wait() -> Result<(), Errno> {
    // SAFETY: this process has a single thread, and the child does nothing but end.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => leave(0),
        _ => wait_for_child().map(drop),
    }
}

/// Reads one byte of each page, through a mapping as that of a program or library.
pub fn touch(file: &OwnedFd, bytes: usize) -> Result<(), Errno> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: the kernel chooses a place that nothing else has.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            protection,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(last_errno());
    }
    for at in (0..bytes).step_by(PAGE_BYTES) {
        // SAFETY: the caller sees to it that the file is as long, so the mapping has this byte.
        unsafe { start.cast::<u8>().add(at).read_volatile() };
    }
    Ok(())
}

/// SIGKILL to every process of this pid namespace but its first.
pub fn kill_all_others() -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    checked(unsafe { libc::kill(-1, libc::SIGKILL) }.into())
}

pub fn prctl(option: i32, value: u64) -> Result<(), Errno> {
    // SAFETY: the options used here take numbers only.
    checked(unsafe { libc::prctl(option, value, 0_u64, 0_u64, 0_u64) }.into())
}

/// Descriptors from `first` on.
pub fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: what is closed is not used again: callers keep none of it.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })
}

pub fn load_module(file: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the empty string of parameters is a constant.
    checked(unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) })
}

pub fn interface_up(socket: RawFd, name: &[u8]) -> Result<(), Errno> {
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request outlives the call.
    checked(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as libc::Ioctl, &raw mut request) }.into())
}

/// Credited in full, and the generator starts anew with it.
pub fn add_entropy(bytes: &[u8]) -> Result<(), Errno> {
    const RNDADDENTROPY: libc::Ioctl = 0x4008_5203_u32 as libc::Ioctl;
    const RNDRESEEDCRNG: libc::Ioctl = 0x5207;
    let random = std::fs::File::open("/dev/urandom").map_err(|_| last_errno())?;
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
    checked(unsafe { libc::ioctl(random.as_raw_fd(), RNDADDENTROPY, info.as_ptr()) }.into())?;
    // SAFETY: takes no argument.
    checked(unsafe { libc::ioctl(random.as_raw_fd(), RNDRESEEDCRNG) }.into())
}

/// Also of the two signals that the C library keeps to itself, and so would not change; an ignored one survives an execve.
pub fn default_signals() {
    #[repr(C)]
    #[derive(Default)]
    struct Action {
        handler: usize,
        flags: u64,
        restorer: usize,
        mask: u64,
    }
    let (default, set_size) = (Action::default(), size_of::<u64>());
    for number in 1..=64 {
        // SAFETY: the structure is the kernel's, and a zero handler is the default action. KILL and STOP refuse, rightly.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                &raw const default,
                std::ptr::null_mut::<Action>(),
                set_size,
            )
        };
    }
    let none = 0u64;
    // SAFETY: the set outlives the call, and the old one is not asked for.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null_mut::<u64>(),
            set_size,
        )
    };
}

/// One byte to a device of the machine's oldest kind.
pub fn write_port(port: u16, value: u8) -> Result<(), Errno> {
    let may = |on: libc::c_long| {
        // SAFETY: takes numbers only, and lets this thread write to one port.
        checked(unsafe { libc::syscall(libc::SYS_ioperm, libc::c_ulong::from(port), 1, on) })
    };
    may(1)?;
    // SAFETY: touches no memory; the port is this thread's to write to.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
    may(0)
}
