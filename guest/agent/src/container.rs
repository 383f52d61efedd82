//! Behind the container wall: the first process of a sandbox whose namespaces, cgroups and mounts the launcher made.
use crate::channel::Channel;
use crate::kernel;
use crate::payload::{self, Walls};
use crate::programs::Sandbox;
use crate::seccomp;
use crate::session::{AgentError, Session};
use rustix::fd::{FromRawFd, OwnedFd, RawFd};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{SocketFlags, accept_with};

/// What the launcher opened: a listening socket, an eventfd that it writes to when the root is mounted, and then the payload cgroup's
/// `cgroup.procs` files.
const LISTENER: RawFd = 3;
const ROOTED: RawFd = 4;

pub fn run(cgroup_fds: u8) -> Result<(), AgentError> {
    kernel::prctl(libc::PR_SET_DUMPABLE, 0).map_err(AgentError::Undumpable)?;
    let first = ROOTED + 1;
    let end = first + RawFd::from(cgroup_fds);
    kernel::close_from(end).map_err(AgentError::Inherited)?;
    let listener = inherited(LISTENER)?;
    let rooted = inherited(ROOTED)?;
    let cgroups = (first..end).map(inherited).collect::<Result<_, _>>()?;
    let walls = Walls {
        cgroups,
        filter: seccomp::FILTER,
    };

    let prepared = payload::prepare(&walls);
    let stream = accept_with(&listener, SocketFlags::CLOEXEC).map_err(AgentError::Accept)?;
    drop(listener);
    let channel = Channel::new(stream).map_err(AgentError::Accept)?;
    Session::new(channel, Sandbox::of_container(walls, prepared, rooted)).serve()
}

fn inherited(number: RawFd) -> Result<OwnedFd, AgentError> {
    // SAFETY: the launcher handed this number over, and nothing else in this process owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    match fcntl_setfd(&descriptor, FdFlags::CLOEXEC) {
        Ok(()) => Ok(descriptor),
        Err(errno) => {
            // It is not open: closing it would be a fault of its own.
            core::mem::forget(descriptor);
            Err(AgentError::Inherited(errno))
        }
    }
}
