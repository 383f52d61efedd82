//! Allocates nothing: a child calls it between clone and exec.
use rustix::io::{Errno, Result};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, Uid, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits, set_thread_res_uid,
};

/// What `serve` does with each is told by who fails without it.
pub const OF_SERVE: CapabilitySet = CapabilitySet::SYS_ADMIN // mounts, namespaces, loop devices, trusted.* of an overlay
    .union(CapabilitySet::SYS_CHROOT) // to enter a mount namespace
    .union(CapabilitySet::SYS_PTRACE) // to open namespaces of a child that is another user
    .union(CapabilitySet::SETUID) // uid_map, and a channel's owner
    .union(CapabilitySet::SETGID) // gid_map, the same
    .union(CapabilitySet::SETPCAP) // to drop the others
    .union(CapabilitySet::KILL) // a child that is another user
    .union(CapabilitySet::MKNOD) // device nodes of the roots, whiteouts of an overlay
    .union(CapabilitySet::SYS_RESOURCE) // limits beyond the hard ones, where the machine gives it
    // What programs do to an overlay's files, the overlay does with the powers of who mounted it.
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETFCAP);

/// No exec gives more than these from here on.
pub fn bound(kept: CapabilitySet) -> Result<()> {
    for capability in CapabilitySet::all().difference(kept).iter() {
        match remove_capability_from_bounding_set(capability) {
            // A kernel that does not know the capability cannot give it either.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub fn hold(kept: CapabilitySet) -> Result<()> {
    let inheritable = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable,
        },
    )
}

/// One byte and not none: where cores go through a pipe, only that limit keeps the kernel from starting the program at its end.
pub fn leave_no_core() -> Result<()> {
    let limit = Some(1);
    setrlimit(
        Resource::Core,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    )
}

/// Of this thread alone, which stays root by its other ids and keeps its capabilities.
pub fn act_as(uid: u32) -> Result<()> {
    set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)?;
    set_thread_res_uid(Uid::ROOT, Uid::from_raw(uid), Uid::ROOT)
}
