//! The main process, from its fork to the execve that makes it the client's.
use super::accounts::{self, User};
use super::exec::Program;
use super::files::{open_child_folder, open_folder};
use super::stage::Trees;
use super::{Ends, Walls, machine_id, narrow, privileges, rlimits, root, stdio};
use crate::failure::{At, Failure};
use crate::outcome::{EXECUTING, FAILED};
use crate::planted::is_missing;
use crate::{io, kernel, rights};
use alloc::{format, string::String, vec};
use caisson_frame::agent::{Exec, failed::Step};
use caisson_seccomp::attach;
use core::convert::Infallible;
use prost::Message;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, SeekFrom, Uid, chownat, mkdirat, seek};
use rustix::io::Errno;
use rustix::process::{fchdir, setsid, umask};
use rustix::thread::{UnshareFlags, unshare_unsafe};

pub fn run(ends: &Ends, walls: &Walls, trees: Trees) -> ! {
    match become_program(ends, walls, trees) {
        Ok(never) => match never {},
        Err(failure) => refuse(&ends.outcome, &failure),
    }
}

/// In one write, which no other process of the sandbox can interleave.
pub fn refuse(outcome: &OwnedFd, failure: &Failure) -> ! {
    let mut bytes = vec![FAILED];
    bytes.extend(failure.to_bytes());
    // Nobody is left to be told when this fails: the agent then sees a process that ended without a word.
    let _ = rustix::io::write(outcome, &bytes);
    kernel::leave(127)
}

fn become_program(ends: &Ends, walls: &Walls, trees: Trees) -> Result<Infallible, Failure> {
    get_ready(walls)?;
    let order = rights::receive(&ends.orders).and_then(|tree| tree.ok_or(Errno::CANCELED));
    let tree = order.at(Step::Clone, "wait for order")?;
    let exec = read_request(&ends.request)?;
    root::enter(tree, trees)?;
    machine_id::fill().at(Step::Root, "/etc/machine-id")?;
    let user = accounts::find(&exec.user)?;
    stdio::connect(&exec, ends, &user)?;
    enter_folder(&exec.cwd, &user).at(Step::Cwd, format_args!("cwd {}", exec.cwd))?;
    rlimits::set(exec.rlimits.unwrap_or_default().open_files).at(Step::Rlimit, "rlimits")?;
    let program = Program::new(&exec, &user);
    let narrower = exec.filter.as_ref().map(narrow::compile).transpose()?;
    if is_missing("no-new-privs") {
        // Without it, only who has capabilities may attach a filter.
        attach(walls.filter).at(Step::Seccomp, "seccomp")?;
    }
    privileges::drop(&user, &exec.capabilities)?;
    if !is_missing("seccomp") && !is_missing("no-new-privs") {
        attach(walls.filter).at(Step::Seccomp, "seccomp")?;
    }
    if is_missing("descriptors") {
        let _ = rustix::io::dup(&ends.request).map(core::mem::forget);
    }
    // Behind the client's own filter only the execve is sure to be allowed.
    Err(program.execute(|| {
        rustix::io::write(&ends.outcome, &[EXECUTING]).at(Step::Exec, "announce")?;
        narrower.map_or(Ok(()), |filter| attach(&filter).at(Step::Seccomp, "the client's filter"))
    }))
}

/// Everything that takes time and is the same for every program.
fn get_ready(walls: &Walls) -> Result<(), Failure> {
    kernel::default_signals();
    join_payload(&walls.cgroups).at(Step::Cgroup, "join payload cgroup")?;
    if !is_missing("namespace-cgroup") {
        own_cgroup_view().at(Step::Cgroup, "cgroup namespace")?;
    }
    setsid().at(Step::Privileges, "setsid")?;
    umask(Mode::from_raw_mode(0o022));
    privileges::forgo()
}

/// "0" is the process that writes it.
fn join_payload(cgroups: &[OwnedFd]) -> Result<(), Errno> {
    cgroups.iter().try_for_each(|procs| rustix::io::write(procs, b"0").map(drop))
}

/// After the move, or the program would see from where it came.
fn own_cgroup_view() -> Result<(), Errno> {
    // SAFETY: unsafe are the flags that give up a shared file table or memory; this one changes what /proc/self/cgroup shows.
    unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }
}

fn read_request(request: &OwnedFd) -> Result<Exec, Failure> {
    let bytes = seek(request, SeekFrom::Start(0)).and_then(|_| io::read_to_end(request, usize::MAX));
    let bytes = bytes.at(Step::Request, "read")?;
    Exec::decode(bytes.as_slice()).map_err(|_| Failure::new(Step::Request, "decode", Errno::BADMSG))
}

fn enter_folder(path: &str, user: &User) -> Result<(), Errno> {
    match open_folder(path) {
        Err(Errno::NOENT) => fchdir(make_folders(path, user)?),
        opened => fchdir(opened?),
    }
}

/// Folder by folder, so that those which were missing, and only those, become the user's.
fn make_folders(path: &str, user: &User) -> Result<OwnedFd, Errno> {
    let mut folder = open_folder("/")?;
    let mut so_far = String::new();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        so_far = format!("{so_far}/{name}");
        folder = match open_folder(&so_far) {
            Err(Errno::NOENT) => {
                mkdirat(&folder, name, Mode::from_raw_mode(0o755))?;
                let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
                chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                open_child_folder(folder.as_fd(), name)?
            }
            opened => opened?,
        };
    }
    Ok(folder)
}
