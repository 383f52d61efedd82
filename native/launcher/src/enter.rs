//! Steps down: how `up` starts everything that is not the launcher. The installation is bound to a path that the user can reach, for a
//! checkout often lies below a folder that only its owner may traverse.
use crate::args::Enter;
use crate::fence::Fence;
use crate::namespaces;
use crate::privileges;
use crate::step::{At, Failure, Step};
use crate::sys;
use crate::users::User;
use rustix::fs::CWD;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, Gid, Uid, UnshareFlags, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use std::ffi::OsStr;
use std::fs::create_dir_all;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn enter(command: Enter) -> Result<(), Failure> {
    let parent = getppid();
    leave_namespaces(command.network)?;
    bind(&command.install, &command.at, command.writable)?;
    let program = find(&command.program)?;
    let (fence, filter) = (Fence::of_service(&command, &program)?, command.calls.filter());
    privileges::leave_no_core().at(Step::Rlimit)?;
    step_down(&command.user)?;
    fence.close().at(Step::Landlock)?;
    die_with(parent)?;
    // Last: of what came before, a list may leave nothing.
    caisson_seccomp::attach(&filter).at(Step::Seccomp)?;
    let error = Command::new(&program)
        .args(&command.args)
        .current_dir(&command.at)
        .env("PWD", &command.at)
        .exec();
    Err(error).about(Step::Exec, program.display())
}

/// Where PATH has it: the fence is about files, not about names.
fn find(program: &OsStr) -> Result<PathBuf, Failure> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Ok(path.to_path_buf());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .map(|folder| folder.join(path))
        .find(|path| path.is_file())
        .ok_or(rustix::io::Errno::NOENT)
        .about(Step::Exec, path.display())
}

fn leave_namespaces(network: bool) -> Result<(), Failure> {
    let network_flag = if network {
        UnshareFlags::empty()
    } else {
        UnshareFlags::NEWNET
    };
    sys::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWIPC | network_flag).at(Step::Unshare)?;
    // What the operator mounts later (a folder of images) still arrives; what is mounted here never leaves.
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM).at(Step::MakePrivate)?;
    if network {
        Ok(())
    } else {
        namespaces::loopback_up().at(Step::Loopback)
    }
}

fn bind(install: &Path, at: &Path, writable: bool) -> Result<(), Failure> {
    create_dir_all(at).about(Step::MakeFolder, at.display())?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, install, flags).about(Step::CloneTree, install.display())?;
    let read_only = if writable { 0 } else { sys::MOUNT_ATTR_RDONLY };
    sys::mount_setattr(
        &tree,
        libc::AT_RECURSIVE,
        sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV | read_only,
    )
    .at(Step::SetMount)?;
    move_mount(&tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).about(Step::MoveMount, at.display())
}

fn step_down(user: &User) -> Result<(), Failure> {
    privileges::bound(CapabilitySet::empty()).at(Step::BoundingSet)?;
    let groups: Vec<Gid> = user.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&groups).at(Step::Groups)?;
    set_thread_res_gid(gid, gid, gid).about(Step::Gid, user.gid)?;
    set_thread_res_uid(uid, uid, uid).about(Step::Uid, user.uid)?;
    // The change of uid cleared the effective and permitted sets, not the inheritable one.
    privileges::hold(CapabilitySet::empty()).at(Step::Capabilities)?;
    set_no_new_privs(true).at(Step::NoNewPrivs)
}

/// After the change of uid, which clears the signal; a parent that died before it is noticed by its pid.
fn die_with(parent: Option<Pid>) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).at(Step::DieWithParent)?;
    if getppid() == parent {
        Ok(())
    } else {
        Err(rustix::io::Errno::SRCH).at(Step::DieWithParent)
    }
}
