//! The launcher has two mount namespaces. Threads live in `store`, which holds the kept layers and the scratch disks. They clone from
//! `base`, which holds the host's tree and the roots of sandboxes: so no sandbox ever gets a copy of another's mounts, and the price of
//! a clone does not grow with their number.
use crate::step::{At, Failure, Step};
use crate::sys;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use std::os::fd::{AsFd, OwnedFd};

pub struct MountNamespaces {
    base: OwnedFd,
    store: OwnedFd,
}

impl MountNamespaces {
    /// Both die with the launcher, and everything mounted in them. `furnish` fills the base.
    pub fn make<R>(furnish: impl FnOnce() -> Result<R, Failure>) -> Result<(Self, R), Failure> {
        leave_host()?;
        let furniture = furnish()?;
        let base = current()?;
        sys::unshare(UnshareFlags::NEWNS).at(Step::Unshare)?;
        let store = current()?;
        Ok((Self { base, store }, furniture))
    }

    /// Called first by every thread: a namespace can be entered only with a working folder of one's own.
    pub fn adopt_thread(&self) -> Result<(), Failure> {
        sys::unshare(UnshareFlags::FS).at(Step::Unshare)
    }

    pub fn in_base<R>(&self, work: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
        self.inside(&self.base, work)
    }

    /// Comes back to `store` also when the work failed.
    pub fn inside<R>(&self, namespace: impl AsFd, work: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
        enter(namespace)?;
        let result = work();
        enter(&self.store)?;
        result
    }
}

fn enter(namespace: impl AsFd) -> Result<(), Failure> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount)).at(Step::EnterNamespace)
}

pub fn leave_host() -> Result<(), Failure> {
    sys::unshare(UnshareFlags::NEWNS).at(Step::Unshare)?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).at(Step::MakePrivate)
}

fn current() -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    openat(CWD, "/proc/thread-self/ns/mnt", flags, Mode::empty()).about(Step::OpenNamespace, "mnt")
}

/// Loopback of the network namespace that the caller is in. Allocates nothing.
pub fn loopback_up() -> Result<(), Errno> {
    const SIOCSIFFLAGS: u64 = 0x8914;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    sys::ioctl(&socket, SIOCSIFFLAGS, &mut request).map(drop)
}
