//! The mount namespace of a client's program, as far as it can be made before the program is known: /proc, /sys and /dev as detached trees,
//! and an empty, read-only root with nothing else in it.
use super::root::ROOT;
use super::{masks, sys};
use crate::failure::{At, Failure};
use crate::planted::is_missing;
use caisson_frame::agent::failed::Step;
use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags, mount, mount_change, open_tree, unmount};
use rustix::process::{chdir, pivot_root};

/// They go into the client's root when that is known.
pub struct Trees {
    pub proc: OwnedFd,
    pub sys: OwnedFd,
    pub dev: OwnedFd,
}

pub fn make() -> Result<Trees, Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).at(Step::Root, "make mounts private")?;
    masks::mount_proc()?;
    let trees = Trees {
        proc: detached("/proc")?,
        sys: if is_missing("sys") { detached("/sys")? } else { sys::make()? },
        dev: detached("/dev")?,
    };
    leave_for_nothing().at(Step::Root, "pivot_root")?;
    Ok(trees)
}

/// `path` with all that is mounted below it.
pub fn detached(path: &str) -> Result<OwnedFd, Failure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).at(Step::Root, format_args!("clone {path}"))
}

/// The agent's root lies on top of the empty one for a moment, and needs no place in it.
fn leave_for_nothing() -> Result<(), Errno> {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("none", ROOT, "tmpfs", flags, c"size=4k,nr_inodes=2,mode=555")?;
    chdir(ROOT)?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}
