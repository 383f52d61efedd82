//! What a child is to become, made before the clone: the child itself may not allocate.
use crate::roots::Root;
use caisson_seccomp::Instruction;
use rustix::mount::MountFlags;
use rustix::process::Resource;
use rustix::thread::CapabilitySet;
use std::ffi::{CStr, c_char};
use std::os::fd::{BorrowedFd, RawFd};

/// Inherited descriptors begin here.
pub const FIRST_DESCRIPTOR: RawFd = 3;

pub struct Plan<'a> {
    pub root: &'a Root,
    pub mounts: &'a [Mount],
    /// They become 3, 4, …
    pub descriptors: &'a [BorrowedFd<'a>],
    pub program: Executable<'a>,
    /// Ended by a null pointer.
    pub args: &'a [*const c_char],
    pub confinement: Option<Confinement<'a>>,
    /// Which of the descriptors becomes its stderr; otherwise nobody hears it.
    pub errors: Option<RawFd>,
}

impl Plan<'_> {
    pub fn fence(&self) -> Option<BorrowedFd<'_>> {
        self.root.fence.as_ref()?.rules()
    }
}

#[derive(Clone, Copy)]
pub enum Executable<'a> {
    /// Needs no file in the root.
    Open(BorrowedFd<'a>),
    /// A file of the root, by which the program finds its others.
    Inside(&'a CStr),
}

/// What helpers and VMM get: they need nothing but their files.
pub struct Confinement<'a> {
    pub limits: &'a [(Resource, u64)],
    pub capabilities: CapabilitySet,
    /// A helper attaches its own, before it reads the first byte that a client has a hand in.
    pub filter: Option<&'a [Instruction]>,
}

pub struct Mount {
    pub kind: &'static CStr,
    pub target: &'static CStr,
    pub flags: MountFlags,
    pub options: Option<&'static CStr>,
}
