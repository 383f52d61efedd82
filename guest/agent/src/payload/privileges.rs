//! Gives up everything that a program of a client must not have. The order is the kernel's: the bounding set and securebits need
//! CAP_SETPCAP, the ids CAP_SETUID and CAP_SETGID, so capabilities go last.
use super::accounts::User;
use crate::failure::{At, Failure};
use crate::kernel;
use crate::planted::is_missing;
use caisson_frame::agent::failed::Step;
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};
use rustix::thread::{set_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Uid 0 means nothing to execve, a change of uid neither gives nor takes, and nothing of it can be changed back:
/// NOROOT, NO_SETUID_FIXUP, KEEP_CAPS off, NO_CAP_AMBIENT_RAISE, each locked.
const SECUREBITS: u64 = 0b1110_1111;

/// What can be given up before anything is known of the program.
pub fn forgo() -> Result<(), Failure> {
    if !is_missing("capabilities") {
        drop_bounding_set().at(Step::Privileges, "drop bounding set")?;
        kernel::prctl(libc::PR_SET_SECUREBITS, SECUREBITS).at(Step::Privileges, "set securebits")?;
    }
    if is_missing("no-new-privs") {
        return Ok(());
    }
    kernel::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).at(Step::Privileges, "set no_new_privs")
}

pub fn drop(user: &User) -> Result<(), Failure> {
    become_user(user)?;
    if is_missing("capabilities") {
        return Ok(());
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets).at(Step::Privileges, "drop capabilities")
}

/// The ambient set needs no clearing: it never holds what the permitted set does not.
fn drop_bounding_set() -> Result<(), Errno> {
    for capability in 0..64 {
        match kernel::prctl(libc::PR_CAPBSET_DROP, capability) {
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
