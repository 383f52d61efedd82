use super::Ends;
use super::accounts::User;
use caisson_frame::agent::Exec;
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::io::Errno;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

/// The pipes become the user's, who may then open them again as /dev/stdout.
pub fn connect(exec: &Exec, ends: &Ends, user: &User) -> Result<(), Errno> {
    for pipe in [&ends.stdin, &ends.stdout, &ends.stderr] {
        if (user.uid, user.gid) != (0, 0) {
            fchown(pipe, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?;
        }
    }
    if exec.stdin {
        dup2_stdin(&ends.stdin)?;
    } else {
        dup2_stdin(openat(CWD, "/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    }
    dup2_stdout(&ends.stdout)?;
    dup2_stderr(&ends.stderr)
}
