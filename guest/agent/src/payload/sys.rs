//! A /sys of what programs size themselves by, instead of the kernel's own without some: there, every loop device tells the host's path of
//! its file, and each new kernel adds more. What is shown is listed; whatever else there is does not exist.
use super::stage::detached;
use crate::failure::{At, Failure};
use crate::planted::is_missing;
use alloc::{format, vec::Vec};
use caisson_frame::agent::failed::Step;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags, mount, mount_remount, move_mount};

/// Processors and memory; transparent huge pages; interfaces, of which there is loopback. With the folders that lead there.
const SHOWN: &[&str] = &["devices/system", "devices/virtual/net", "class/net", "kernel/mm"];
const FOLDERS: &[&str] = &[
    "devices",
    "devices/system",
    "devices/virtual",
    "devices/virtual/net",
    "class",
    "class/net",
    "kernel",
    "kernel/mm",
    // Empty: where runtimes look whether they have cgroups.
    "fs",
    "fs/cgroup",
];

pub fn make() -> Result<OwnedFd, Failure> {
    let trees = SHOWN
        .iter()
        .map(|path| detached(&format!("/sys/{path}")).map(|tree| (path, tree)))
        .collect::<Result<Vec<_>, _>>()?;
    cover().at(Step::Root, "cover /sys")?;
    for (path, tree) in trees {
        let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(tree, "", CWD, format!("/sys/{path}"), empty).at(Step::Root, format_args!("attach /sys/{path}"))?;
    }
    if !is_missing("read-only-sys") {
        mount_remount("/sys", MountFlags::BIND | MountFlags::RDONLY | plain(), c"").at(Step::Root, "protect /sys")?;
    }
    detached("/sys")
}

fn cover() -> Result<(), Errno> {
    mount("none", "/sys", "tmpfs", plain(), c"size=4k,nr_inodes=16,mode=555")?;
    FOLDERS
        .iter()
        .try_for_each(|folder| mkdir(format!("/sys/{folder}"), Mode::from_raw_mode(0o555)))
}

fn plain() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC
}
