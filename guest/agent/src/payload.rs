//! The side of the wall where the client's program will run. Two processes are made ahead, before anything of a client is known: the nested
//! init, which is the first process of a pid and mount namespace of its own and reaps there, and its child, which waits to become the
//! program.
//!
//! ```text
//! agent ── clone(pid, mount) ──▶ nested init: /proc, /sys, /dev made ── fork ──▶ payload cgroup, waits ── order ──▶ root, user, … exec
//! ```
mod accounts;
mod exec;
mod files;
mod init;
mod machine_id;
mod masks;
mod narrow;
mod privileges;
mod rlimits;
mod root;
mod stage;
mod start;
mod stdio;
mod sys;

pub use root::ROOT;
pub use stage::detached;

use crate::failure::{At, Failure};
use crate::kernel::{self, Side};
use crate::planted::is_missing;
use alloc::vec::Vec;
use caisson_frame::agent::failed::Step;
use caisson_seccomp::Instruction;
use rustix::fd::OwnedFd;
use rustix::fs::MemfdFlags;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

const PIPE_BYTES: usize = 256 << 10;

/// What every program of this sandbox is started with.
pub struct Walls {
    /// Open `cgroup.procs` files of the payload cgroup, one for each hierarchy.
    pub cgroups: Vec<OwnedFd>,
    pub filter: &'static [Instruction],
}

/// The agent's ends of a prepared pair of processes.
pub struct Prepared {
    pub init: OwnedFd,
    /// From the nested init: a pidfd of the main process, then its wait status.
    pub reports: OwnedFd,
    /// To the main process: go, with the root's mount.
    pub orders: OwnedFd,
    pub outcome: OwnedFd,
    /// The `Exec` message: of any size, and no write to it can block.
    pub request: OwnedFd,
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// The other ends.
struct Ends {
    reports: OwnedFd,
    orders: OwnedFd,
    outcome: OwnedFd,
    request: OwnedFd,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

pub fn prepare(walls: &Walls) -> Result<Prepared, Failure> {
    let [reports, orders] = [pair()?, pair()?];
    let outcome = pipe_with(PipeFlags::CLOEXEC).at(Step::Clone, "pipe")?;
    let [stdin, stdout, stderr] = [stream()?, stream()?, stream()?];
    let request = rustix::fs::memfd_create("request", MemfdFlags::CLOEXEC).at(Step::Clone, "memfd_create")?;
    let copy = fcntl_dupfd_cloexec(&request, 0).at(Step::Clone, "dup")?;
    let ends = Ends {
        reports: reports.1,
        orders: orders.1,
        outcome: outcome.1,
        request: copy,
        stdin: stdin.0,
        stdout: stdout.1,
        stderr: stderr.1,
    };
    for own in [&outcome.0, &stdin.1, &stdout.0, &stderr.0] {
        rustix::io::ioctl_fionbio(own, true).at(Step::Clone, "set non-blocking")?;
    }
    let pid = if is_missing("namespace-pid-nested") {
        0
    } else {
        libc::CLONE_NEWPID
    };
    let namespaces = (pid | libc::CLONE_NEWNS) as u64;
    let init = match kernel::clone(namespaces).at(Step::Clone, "clone")? {
        Side::Child => init::run(ends, walls),
        Side::Parent(init) => init.pidfd,
    };
    Ok(Prepared {
        init,
        reports: reports.0,
        orders: orders.0,
        outcome: outcome.0,
        request,
        stdin: stdin.1,
        stdout: stdout.0,
        stderr: stderr.0,
    })
}

/// Message boundaries are kept, and the end of the other side shows as an empty message.
fn pair() -> Result<(OwnedFd, OwnedFd), Failure> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).at(Step::Clone, "socketpair")
}

fn stream() -> Result<(OwnedFd, OwnedFd), Failure> {
    let ends = pipe_with(PipeFlags::CLOEXEC).at(Step::Clone, "pipe")?;
    // A larger pipe is only faster; the kernel may refuse it to a user who has many.
    let _ = fcntl_setpipe_size(&ends.1, PIPE_BYTES);
    Ok(ends)
}
