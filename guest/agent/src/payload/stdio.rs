use super::Ends;
use super::accounts::User;
use crate::failure::{At, Failure};
use alloc::format;
use caisson_frame::agent::{Exec, failed::Step};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::io::Errno;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

pub fn connect(exec: &Exec, ends: &Ends, user: &User) -> Result<(), Failure> {
    give_to(user, ends).map_err(|errno| not_here(user, errno))?;
    place(exec, ends).at(Step::Clone, "connect stdio")
}

/// The pipes become the user's, who may then open them again as /dev/stdout.
fn give_to(user: &User, ends: &Ends) -> Result<(), Errno> {
    if (user.uid, user.gid) == (0, 0) {
        return Ok(());
    }
    [&ends.stdin, &ends.stdout, &ends.stderr]
        .into_iter()
        .try_for_each(|pipe| fchown(pipe, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid))))
}

/// The first call that needs the ids is the first to refuse those beyond the user namespace.
fn not_here(user: &User, errno: Errno) -> Failure {
    let who = format!("user {}:{}", user.uid, user.gid);
    match errno {
        Errno::INVAL => Failure::explained(Step::User, errno, format!("{who}: beyond the ids of a sandbox")),
        _ => Failure::new(Step::User, who, errno),
    }
}

fn place(exec: &Exec, ends: &Ends) -> Result<(), Errno> {
    if exec.stdin {
        dup2_stdin(&ends.stdin)?;
    } else {
        dup2_stdin(openat(CWD, "/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    }
    dup2_stdout(&ends.stdout)?;
    dup2_stderr(&ends.stderr)
}
