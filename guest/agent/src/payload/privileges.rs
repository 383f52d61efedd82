//! Gives up everything that a program of a client must not have. The order is the kernel's: the bounding set and securebits need
//! CAP_SETPCAP, the ids CAP_SETUID and CAP_SETGID, so capabilities go last.
use super::accounts::User;
use crate::failure::{At, Failure};
use crate::kernel;
use crate::planted::is_missing;
use alloc::{format, vec::Vec};
use caisson_frame::agent::failed::Step;
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid, configure_capability_in_ambient_set};
use rustix::thread::{set_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// What an operator may have granted; nothing else is given, whatever is asked for.
const GRANTABLE: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Uid 0 means nothing to execve; until the ids are set, a change of uid takes nothing.
const EARLY_SECUREBITS: u64 = 0b0010_0111;
/// Uid 0 means nothing to execve, a change of uid neither gives nor takes, and nothing of it can be changed back:
/// NOROOT, NO_SETUID_FIXUP, KEEP_CAPS off, NO_CAP_AMBIENT_RAISE, each locked.
const SECUREBITS: u64 = 0b1110_1111;
/// But a program that was granted some loses them with uid 0, as programs expect that drop privileges so.
const SECUREBITS_OF_GRANTED: u64 = 0b1110_1011;

/// What can be given up before anything is known of the program.
pub fn forgo() -> Result<(), Failure> {
    if !is_missing("capabilities") {
        let others = (0..64).filter(|number| GRANTABLE.bits() >> number & 1 == 0);
        drop_from_bounding_set(others).at(Step::Privileges, "drop bounding set")?;
        kernel::prctl(libc::PR_SET_SECUREBITS, EARLY_SECUREBITS).at(Step::Privileges, "set securebits")?;
    }
    if is_missing("no-new-privs") {
        return Ok(());
    }
    kernel::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).at(Step::Privileges, "set no_new_privs")
}

/// Of capabilities, all that are left but those that `granted` numbers.
pub fn drop(user: &User, granted: &[u32]) -> Result<(), Failure> {
    let kept = sets_of(granted)?;
    if is_missing("capabilities") {
        return become_user(user);
    }
    drop_from_bounding_set(GRANTABLE.difference(kept).iter().map(|one| one.bits().trailing_zeros()))
        .at(Step::Privileges, "drop bounding set")?;
    become_user(user)?;
    if !kept.is_empty() {
        keep_over_execve(kept).at(Step::Privileges, "keep capabilities")?;
    }
    let securebits = if kept.is_empty() { SECUREBITS } else { SECUREBITS_OF_GRANTED };
    kernel::prctl(libc::PR_SET_SECUREBITS, securebits).at(Step::Privileges, "set securebits")?;
    set_all(kept, kept).at(Step::Privileges, "drop capabilities")
}

fn sets_of(granted: &[u32]) -> Result<CapabilitySet, Failure> {
    let mut kept = CapabilitySet::empty();
    for number in granted {
        let one = 1_u64.checked_shl(*number).and_then(CapabilitySet::from_bits);
        let Some(one) = one.filter(|one| GRANTABLE.contains(*one)) else {
            let message = format!("capabilities: {number} cannot be granted");
            return Err(Failure::explained(Step::Request, Errno::INVAL, message));
        };
        kept |= one;
    }
    Ok(kept)
}

/// By the ambient set, which needs them in the inheritable one; CAP_SETPCAP has one more thing to do.
fn keep_over_execve(kept: CapabilitySet) -> Result<(), Errno> {
    set_all(kept | CapabilitySet::SETPCAP, kept)?;
    kept.iter().try_for_each(|one| configure_capability_in_ambient_set(one, true))
}

/// The ambient set needs no clearing: it never holds what the permitted or inheritable set does not.
fn set_all(permitted: CapabilitySet, inheritable: CapabilitySet) -> Result<(), Errno> {
    let sets = CapabilitySets {
        effective: permitted,
        permitted,
        inheritable,
    };
    set_capabilities(None, sets)
}

fn drop_from_bounding_set(numbers: impl Iterator<Item = u32>) -> Result<(), Errno> {
    for number in numbers {
        match kernel::prctl(libc::PR_CAPBSET_DROP, number.into()) {
            Err(Errno::INVAL) => return Ok(()), // The one before was the kernel's last.
            other => other?,
        }
    }
    Ok(())
}

fn become_user(user: &User) -> Result<(), Failure> {
    let groups: Vec<Gid> = user.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    set_thread_groups(&groups).at(Step::User, format_args!("groups {:?}", user.groups))?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_res_gid(gid, gid, gid).at(Step::User, format_args!("gid {}", user.gid))?;
    set_thread_res_uid(uid, uid, uid).at(Step::User, format_args!("uid {}", user.uid))
}
