//! What a run will ask of the kernel and of this agent, done once while the machine waits: with a program of the agent's own, in a cgroup
//! and on a root of its own, of which nothing stays. In a machine that came from a template all that is needed for it is still on the
//! template's pages, and in an emulated one none of it is translated yet: the run would wait for both.
use super::disks::{self, SCRATCH};
use super::{Guest, set_up};
use crate::failure::{At, Failure};
use crate::io;
use crate::kernel;
use crate::outbox::Outbox;
use crate::payload::{self, ROOT, Walls};
use crate::process::Process;
use crate::programs::clone_root;
use crate::session::AgentError;
use alloc::rc::Rc;
use alloc::{borrow::ToOwned, format, vec};
use caisson_frame::Decoder;
use caisson_frame::agent::{AgentFrame, Exec, Rlimits, Setup, agent_frame::Frame, exited::End, failed::Step};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, read};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::pipe::{PipeFlags, pipe_with};

/// Of the machine's own, while it has no scratch disk.
const NO_SCRATCH: &str = "/disks/no-scratch";
/// This program, in the root that it rehearses in.
const PROGRAM: &str = "/rehearsal";
pub const WORD: &str = "rehearse";
const OPEN_FILES: u64 = 1024;
const CREDIT: u64 = 64 << 10;
/// Of each of those.
const MOST_BYTES: usize = 4 << 20;
/// What most programs begin with, in the places where most images have it. Only read: none of the client's code runs before its run.
const COMMON: [&str; 5] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/ld-musl-x86_64.so.1",
    "/etc/ld.so.cache",
    "/bin/sh",
];

/// `layers`: of a machine that has its root.
pub fn perform(guest: &Rc<Guest>, walls: &Walls, layers: Option<u32>, setup: &Setup) -> Result<(), Failure> {
    let payload = guest.payload.beside()?;
    set_up(setup, &payload)?;
    let walls = Walls {
        cgroups: vec![payload.door().map_err(|error| ours(&error))?],
        filter: walls.filter,
    };
    let folder = layers.map_or(NO_SCRATCH.to_owned(), |_| format!("{SCRATCH}/rehearsal"));
    let performed = on_own_root(&folder, layers, || until_over(start(guest, &walls)?));
    disks::remove_tree(CWD, &folder).at(Step::Root, format_args!("remove {folder}"))?;
    performed?;
    payload.remove()?;
    super::say("has rehearsed");
    Ok(())
}

/// Over the client's, which is there or will be.
fn on_own_root(folder: &str, layers: Option<u32>, act: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    for name in ["", "/upper", "/work", "/lower"] {
        let path = format!("{folder}{name}");
        disks::folder(&path).at(Step::Root, &path)?;
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let program = format!("{folder}/upper{PROGRAM}");
    openat(CWD, &program, flags, Mode::from_raw_mode(0o755)).at(Step::Root, &program)?;
    let name = folder.trim_start_matches("/disks/");
    let lowers = layers.map_or(format!("{name}/lower"), disks::lowers);
    disks::mount_overlay(&lowers, name)?;
    let bound = mount_bind("/proc/self/exe", format!("{ROOT}{PROGRAM}")).at(Step::Root, "bind the agent");
    let acted = bound.and_then(|()| act());
    unmount(ROOT, UnmountFlags::DETACH).at(Step::Root, "unmount the rehearsal's root")?;
    acted
}

fn start(guest: &Rc<Guest>, walls: &Walls) -> Result<Process, Failure> {
    let exec = Exec {
        args: vec![PROGRAM.into(), WORD.into()],
        cwd: "/".into(),
        rlimits: Some(Rlimits { open_files: OPEN_FILES }),
        output_credit_bytes: CREDIT,
        ..Exec::default()
    };
    let root = clone_root()?;
    Process::start(&exec, payload::prepare(walls)?, root, Some(guest.clone()))
}

/// What is said of it goes into a pipe, as it would into the channel.
fn until_over(mut process: Process) -> Result<(), Failure> {
    let (hear, say) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).at(Step::Clone, "pipe")?;
    let (mut outbox, mut said) = (Outbox::default(), Decoder::<AgentFrame>::new());
    let mut end = None;
    for turn in 0.. {
        let mut wanted = process.wanted(&outbox);
        kernel::poll(&mut wanted, !process.restless(&outbox)).at(Step::Clone, "poll")?;
        process.advance(&wanted, turn, &mut outbox).map_err(|error| ours(&error))?;
        outbox.flush(say.as_fd()).at(Step::Clone, "pipe")?;
        process.dismiss();
        end = end.or(hear_end(&hear, &mut said)?);
        if process.is_over() {
            break;
        }
    }
    match end {
        Some(Frame::Exited(exited)) if exited.end == Some(End::ExitCode(0)) => Ok(()),
        Some(Frame::Failed(failed)) => Err(Failure::explained(
            Step::Clone,
            Errno::IO,
            format!("rehearsal: {}", failed.message),
        )),
        other => Err(Failure::explained(Step::Clone, Errno::IO, format!("rehearsal: {other:?}"))),
    }
}

fn hear_end(pipe: &OwnedFd, said: &mut Decoder<AgentFrame>) -> Result<Option<Frame>, Failure> {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = read(pipe, &mut buffer) {
        said.push(&buffer[..count]);
    }
    let mut end = None;
    while let Some(AgentFrame { frame }) = said.pull().map_err(|error| ours(&error.into()))? {
        end = frame
            .filter(|frame| matches!(frame, Frame::Exited(_) | Frame::Failed(_)))
            .or(end);
    }
    Ok(end)
}

fn ours(error: &AgentError) -> Failure {
    Failure::explained(Step::Clone, Errno::IO, format!("rehearsal: {error}"))
}

/// As the program: what nearly every one does.
pub fn act() -> ! {
    COMMON.iter().for_each(|path| look_at(path));
    let spoke = rustix::io::write(io::stdout(), b"as if\n").is_ok();
    kernel::leave(if spoke && kernel::fork_and_wait().is_ok() { 0 } else { 1 })
}

/// Whatever an image has there.
fn look_at(path: &str) {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(file) = openat(CWD, path, flags, Mode::empty()) else {
        return;
    };
    let Ok(facts) = fstat(&file) else { return };
    if FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile {
        let _ = kernel::touch(&file, MOST_BYTES.min(facts.st_size as usize));
    }
}
