//! How a child comes about. `beside` is what sandboxes are made by; `fork` is for probes, which try what needs a memory of its own.
use rustix::io::{Errno, Result};
use std::arch::asm;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// A child was seen to need 9 KiB.
const STACK_BYTES: usize = 32 << 10;

/// Of a child that shares its parent's memory. Not in the parent's frame, which would touch every page of it.
pub struct Stack(Box<MaybeUninit<Frames>>);

/// Aligned as a call demands.
#[repr(C, align(16))]
struct Frames([u8; STACK_BYTES]);

impl Stack {
    pub fn new() -> Self {
        Self(Box::new_uninit())
    }
}

pub struct Born {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// A child in namespaces and, on the v2 tree, a cgroup of its own, which runs `enter(told)` in the memory of this process until it executes
/// or exits. A copy of the memory would cost more than all else that the launcher does for a sandbox: the tables are the least of it, but
/// every page that any thread writes to afterwards is copied, and all processors are told.
///
/// # Safety
/// `stack` and `told` must stay where they are until the child has executed or was waited for. Until then it must not allocate nor take
/// locks, and neither it nor the calling thread may rely on `errno`, which they share.
pub unsafe fn beside<T>(
    namespaces: i32,
    cgroup: BorrowedFd<'_>,
    stack: &mut Stack,
    enter: extern "C" fn(&T) -> !,
    told: &T,
) -> Result<Born> {
    let mut pidfd: RawFd = -1;
    let mut args = arguments(namespaces | libc::CLONE_VM, &mut pidfd);
    args.flags |= CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND;
    args.cgroup = cgroup.as_raw_fd() as u64;
    args.stack = stack.0.as_mut_ptr() as u64;
    args.stack_size = STACK_BYTES as u64;
    let mut answer = libc::SYS_clone3;
    // SAFETY: the parent goes on behind the label with nothing changed but what is declared. The child, which has the same registers but for
    // its stack and the answer 0, calls `enter`, which does not return.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {told}",
            "call {enter}",
            "ud2",
            "2:",
            told = in(reg) &raw const *told,
            enter = in(reg) enter,
            inout("rax") answer,
            in("rdi") &raw const args,
            in("rsi") size_of::<libc::clone_args>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    if answer < 0 {
        return Err(Errno::from_raw_os_error(-answer as i32));
    }
    // SAFETY: the kernel opened it for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Born {
        pid: answer as i32,
        pidfd,
    })
}

/// `None` in the child.
///
/// # Safety
/// The child has one thread and a copy of the memory as it was: until it executes or exits it must not allocate nor take locks.
pub unsafe fn fork() -> Result<Option<Born>> {
    let mut pidfd: RawFd = -1;
    let args = arguments(0, &mut pidfd);
    // SAFETY: no CLONE_VM, so the child has its own copy of this stack; args and pidfd outlive the call.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) } {
        // SAFETY: errno's address is always valid.
        -1 => Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() })),
        0 => Ok(None),
        pid => Ok(Some(Born {
            pid: pid as i32,
            // SAFETY: the kernel opened it for us.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        })),
    }
}

/// `pidfd` is where the kernel puts one.
fn arguments(flags: i32, pidfd: &mut RawFd) -> libc::clone_args {
    // SAFETY: all-zero clone_args are valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (flags | libc::CLONE_PIDFD) as u64;
    args.pidfd = &raw mut *pidfd as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Hierarchies;
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicI32, Ordering};

    extern "C" fn count(number: &AtomicI32) -> ! {
        let before = number.fetch_add(1, Ordering::Relaxed);
        // SAFETY: ends the child alone.
        unsafe { libc::_exit(before) }
    }

    #[test]
    fn a_child_beside_has_the_memory_of_its_parent() {
        let name = format!("t-clone-{}", std::process::id());
        let hierarchies: &Hierarchies = Box::leak(Box::new(Hierarchies::open(&name).expect("cgroups")));
        let group = hierarchies.single("child").expect("a cgroup");
        let (number, mut stack) = (AtomicI32::new(41), Stack::new());
        // SAFETY: both outlive the wait, and the child makes one call.
        let born = unsafe { beside(0, group.payload.clone_target(), &mut stack, count, &number) }.expect("a child");
        let status = waitid(WaitId::PidFd(born.pidfd.as_fd()), WaitIdOptions::EXITED).expect("it ends");
        assert_eq!(status.and_then(|status| status.exit_status()), Some(41));
        assert_eq!(number.into_inner(), 42);
        drop(group);
        hierarchies.remove();
    }
}
