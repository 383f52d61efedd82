//! Accepts the worker's connections, each with a thread of its own, until it is told to end.
use crate::args::Serve;
use crate::conversation::converse;
use crate::filters;
use crate::labels::Labels;
use crate::launcher::Launcher;
use crate::log;
use crate::planted::is_missing;
use crate::privileges;
use crate::step::{At, Failure, Step};
use crate::sweep::sweep;
use crate::sys;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid, chmod, chownat, unlink};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior, set_parent_process_death_signal,
    setrlimit, umask,
};
use rustix::thread::{capabilities, set_no_new_privs};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const MAX_CONNECTIONS: usize = 1_024;
const STACK_BYTES: usize = 256 << 10;
/// A worker that does not take our few words is none.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);

pub fn serve(command: &Serve) -> Result<(), Failure> {
    die_with_parent()?;
    prepare_process()?;
    sys::keep_memory_together();
    let labels = Labels::load();
    give_up_privileges()?;
    let ends = sys::signals_as_fd(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]).at(Step::Signals)?;
    let launcher = Launcher::make(command, labels)?;
    let (listener, path) = listen(launcher)?;
    println!("ready");
    accept_until(&ends, &listener, launcher)?;
    let _ = unlink(&path);
    // Every sandbox ends here, also those whose threads wait for their worker; the mounts go with the process.
    sweep(&launcher.instance, &launcher.cgroups);
    launcher.cgroups.remove();
    launcher.unmount();
    launcher.instance.leave();
    Ok(())
}

fn die_with_parent() -> Result<(), Failure> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL)).at(Step::DieWithParent)?;
    if getppid() == parent {
        Ok(())
    } else {
        Err(Errno::SRCH).at(Step::DieWithParent)
    }
}

fn prepare_process() -> Result<(), Failure> {
    umask(Mode::from_raw_mode(0o022));
    privileges::leave_no_core().at(Step::Rlimit)?;
    // Its memory holds what every run's worker told it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::Privacy)?;
    // A sandbox takes some fifteen descriptors.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )
    .at(Step::Rlimit)
}

/// Children are not bound by it: whoever makes a user namespace has every capability in there.
fn give_up_privileges() -> Result<(), Failure> {
    let held = capabilities(None).at(Step::Capabilities)?.permitted;
    let kept = held.intersection(privileges::OF_SERVE);
    privileges::bound(kept).at(Step::BoundingSet)?;
    privileges::hold(kept).at(Step::Capabilities)?;
    if !is_missing("no-new-privs") {
        set_no_new_privs(true).at(Step::NoNewPrivs)?;
    }
    caisson_seccomp::attach(&filters::launcher()).at(Step::Seccomp)
}

fn listen(launcher: &Launcher) -> Result<(UnixListener, PathBuf), Failure> {
    let path = launcher.instance.run.join("launcher.sock");
    let step = || -> Result<UnixListener, Failure> {
        match unlink(&path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error).about(Step::Listen, path.display()),
        }
        let listener = UnixListener::bind(&path).about(Step::Listen, path.display())?;
        let worker = launcher.instance.worker;
        chmod(&path, Mode::from_raw_mode(0o600)).about(Step::Listen, path.display())?;
        let (uid, gid) = (Uid::from_raw(worker.uid), Gid::from_raw(worker.gid));
        chownat(CWD, &path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).about(Step::Listen, path.display())?;
        Ok(listener)
    };
    Ok((step()?, path))
}

fn accept_until(ends: &OwnedFd, listener: &UnixListener, launcher: &'static Launcher) -> Result<(), Failure> {
    loop {
        let mut descriptors = [PollFd::new(ends, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
        match poll(&mut descriptors, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).at(Step::Listen),
        }
        if !descriptors[0].revents().is_empty() {
            return Ok(());
        }
        if descriptors[1].revents().is_empty() {
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => admit(stream, launcher),
            Err(error) => {
                log::warning(&format!("accept: {error}"));
                // Out of descriptors, most likely: they come back as connections end.
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// A refused connection is just closed.
fn admit(stream: UnixStream, launcher: &'static Launcher) {
    if let Err(reason) = check_peer(&stream, launcher) {
        return log::warning(&reason);
    }
    if CONNECTIONS.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
        CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
        return log::warning(&format!("a connection beyond {MAX_CONNECTIONS} was refused"));
    }
    let conversation = move || {
        converse(launcher, stream);
        CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
    };
    if let Err(error) = thread::Builder::new().stack_size(STACK_BYTES).spawn(conversation) {
        CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
        log::warning(&format!("thread: {error}"));
    }
}

fn check_peer(stream: &UnixStream, launcher: &Launcher) -> Result<(), String> {
    let uid = socket_peercred(stream)
        .map_err(|error| format!("peer: {error}"))?
        .uid
        .as_raw();
    if uid != 0 && uid != launcher.instance.worker.uid {
        return Err(format!("a connection of uid {uid} was refused"));
    }
    set_socket_timeout(stream, Timeout::Send, Some(SEND_TIMEOUT)).map_err(|error| format!("peer: {error}"))
}
