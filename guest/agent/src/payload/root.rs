//! Makes the client's root this process's. The root's own tree is the client's, and hostile: what is made in it is made at names directly
//! below its root, links replaced, never followed.
use super::files::{open_child_folder, open_folder, open_regular};
use super::stage::Trees;
use crate::failure::{At, Failure};
use crate::io;
use alloc::format;
use caisson_frame::agent::failed::Step;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, chmodat, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, move_mount};
use rustix::process::{chroot, fchdir};
use rustix::system::uname;

/// Where the launcher, or the guest's own mounts, put the root, in the agent's mount namespace.
pub const ROOT: &str = "/rootfs";

/// Over the empty folder that is the root until now (see `stage`): nothing of the machine or of the agent lies below, so there is nothing
/// to unmount, which would wait for every processor of the machine.
pub fn enter(root: OwnedFd, trees: Trees) -> Result<(), Failure> {
    move_mount(&root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at(Step::Root, "attach root")?;
    for (name, tree) in [("proc", trees.proc), ("sys", trees.sys), ("dev", trees.dev)] {
        attach(root.as_fd(), name, tree).at(Step::Root, format_args!("attach /{name}"))?;
    }
    make_temporary_folder(root.as_fd()).at(Step::Root, "make /tmp")?;
    fchdir(&root).and_then(|()| chroot(".")).at(Step::Root, "enter root")?;
    write_hosts();
    Ok(())
}

fn attach(root: BorrowedFd<'_>, name: &str, tree: OwnedFd) -> Result<(), Errno> {
    let target = mount_point(root, name)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", target, "", flags)
}

/// A link or file in the way is replaced: the tree is this run's own copy.
fn mount_point(root: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    match open_child_folder(root, name) {
        Err(Errno::NOENT) => {}
        Err(Errno::LOOP | Errno::NOTDIR) => unlinkat(root, name, AtFlags::empty())?,
        opened => return opened,
    }
    mkdirat(root, name, Mode::from_raw_mode(0o755))?;
    open_child_folder(root, name)
}

fn make_temporary_folder(root: BorrowedFd<'_>) -> Result<(), Errno> {
    match mkdirat(root, "tmp", Mode::from_raw_mode(0o777)) {
        Ok(()) => chmodat(root, "tmp", Mode::from_raw_mode(0o1777), AtFlags::empty()),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Only loopback exists, so `localhost` and the own name are all there is to resolve; resolv.conf would have nobody to ask. Images from
/// `docker export` have an empty file here. An image in which this cannot be written does without.
fn write_hosts() {
    let Some(hosts) = open_hosts() else { return };
    let name = uname();
    let name = name.nodename().to_string_lossy();
    let text = format!("127.0.0.1 localhost\n::1 localhost\n127.0.0.1 {name}\n");
    let _ = io::write_all(hosts, text.as_bytes());
}

fn open_hosts() -> Option<OwnedFd> {
    match open_regular("/etc/hosts", OFlags::WRONLY) {
        Ok(file) => fstat(&file).is_ok_and(|facts| facts.st_size == 0).then_some(file),
        Err(Errno::NOENT) => create_hosts().ok(),
        Err(_) => None,
    }
}

fn create_hosts() -> Result<OwnedFd, Errno> {
    let root = open_folder("/")?;
    let etc = match open_child_folder(root.as_fd(), "etc") {
        Err(Errno::NOENT) => {
            mkdirat(&root, "etc", Mode::from_raw_mode(0o755))?;
            open_child_folder(root.as_fd(), "etc")?
        }
        opened => opened?,
    };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(etc, "hosts", flags, Mode::from_raw_mode(0o644))
}
