//! The nested init: reaps, tells how the main process ended, and takes everything else in its pid namespace along when it ends.
use super::{Ends, Walls, stage, start};
use crate::failure::{At, Failure};
use crate::io::{read_text, stdin};
use crate::kernel::{self, Child, Side};
use crate::planted::is_missing;
use crate::rights;
use caisson_frame::agent::failed::Step;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::stdio::dup2_stdin;
use rustix::thread::{Uid, set_thread_res_uid};

const NO_SETUID_FIXUP: u64 = 1 << 2;

pub fn run(ends: Ends, walls: &Walls) -> ! {
    match make_main(&ends, walls) {
        Ok((main, last_uid)) => kernel::leave(if watch(ends, main, last_uid).is_ok() { 0 } else { 1 }),
        Err(failure) => start::refuse(&ends.outcome, &failure),
    }
}

fn make_main(ends: &Ends, walls: &Walls) -> Result<(Child, u32), Failure> {
    let last_uid = last_uid().at(Step::Clone, "read /proc/self/uid_map")?;
    let trees = stage::make()?;
    match kernel::clone(0).at(Step::Clone, "fork")? {
        Side::Child => start::run(ends, walls, trees),
        Side::Parent(main) => Ok((main, last_uid)),
    }
}

fn watch(ends: Ends, main: Child, last_uid: u32) -> Result<(), Errno> {
    rights::send(&ends.reports, &main.pidfd)?;
    keep_nothing_but(ends.reports)?;
    if !is_missing("init") {
        become_nobody_else(last_uid)?;
    }
    let status = reap_until(main.pid)?;
    end_everything_else()?;
    send(stdin(), &status.to_ne_bytes(), SendFlags::NOSIGNAL)?;
    wait_for_leave()
}

/// With this process end namespaces and mounts, for which the client would wait if they were taken apart before the agent has told it.
fn wait_for_leave() -> Result<(), Errno> {
    loop {
        match recv(stdin(), &mut [0; 1], RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            over => return over.map(drop),
        }
    }
}

fn reap_until(main: i32) -> Result<i32, Errno> {
    loop {
        if let (pid, status) = kernel::wait_for_child()?
            && pid == main
        {
            return Ok(status);
        }
    }
}

/// The kernel would do it when this process ends, but that is only after the client was told. No fork escapes the signal; whoever is
/// orphaned becomes a child of this process: without children it is alone.
fn end_everything_else() -> Result<(), Errno> {
    match kernel::kill_all_others() {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(errno) => return Err(errno),
    }
    loop {
        match kernel::wait_for_child() {
            Ok(_) => {}
            Err(Errno::CHILD) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Pipes above all: the agent takes a pipe's end for the end of the program's output.
fn keep_nothing_but(reports: OwnedFd) -> Result<(), Errno> {
    dup2_stdin(&reports)?;
    core::mem::forget(reports);
    kernel::close_from(1)
}

/// The program may have uid 0, as this process had, and the kernel lets a process change limits, scheduling and priority of another with
/// the same ids. Three different ones, the last of the namespace, are those of no other process. The capabilities are kept (by the
/// securebit, also as effective ones), to kill what has another uid; and they are one more reason for the kernel to refuse a `ptrace`. The
/// first one is that this process cannot be dumped.
fn become_nobody_else(last_uid: u32) -> Result<(), Errno> {
    kernel::prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP)?;
    let uid = |back| Uid::from_raw(last_uid.saturating_sub(back));
    set_thread_res_uid(uid(0), uid(1), uid(2))?;
    kernel::prctl(libc::PR_SET_DUMPABLE, 0)
}

/// Lines of the map: first id inside, first id outside, count.
fn last_uid() -> Result<u32, Errno> {
    let map = read_text("/proc/self/uid_map")?;
    let last = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) = (numbers.next(), numbers.next(), numbers.next()) else {
            return None;
        };
        u32::try_from((first + count).checked_sub(1)?).ok()
    };
    map.lines()
        .filter_map(last)
        .max()
        .map(|last| last.min(u32::MAX - 1))
        .ok_or(Errno::INVAL)
}
