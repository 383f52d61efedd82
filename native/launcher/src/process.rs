//! The first process of a sandbox, seen from outside: clone, map, let go, and at last kill.
use crate::cgroup::Cgroup;
use crate::child::{self, REPORT_BYTES, Told};
use crate::clone::{self, Born, Stack};
use crate::log;
use crate::namespaces::MountNamespaces;
use crate::plan::Plan;
use crate::planted::is_missing;
use crate::privileges;
use crate::step::{At, Failure, Step};
use crate::uids::UidRange;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, prlimit, waitid};
use rustix::time::{ClockId, clock_gettime};
use std::os::fd::{AsFd, OwnedFd};

const NAMESPACES: i32 =
    libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// Killed, and waited for, when dropped: as it is the first of its pid namespace, everything in there is gone with it.
pub struct Process {
    pidfd: OwnedFd,
    pid: i32,
    ended: Option<WaitIdStatus>,
}

impl Process {
    /// Returns when the plan's program is executed. The child is in `cgroup` before it does anything. `furnish` is called once its root
    /// stands.
    pub fn spawn(
        plan: &Plan<'_>,
        cgroup: &Cgroup,
        uids: &UidRange,
        namespaces: &MountNamespaces,
        furnish: impl FnOnce(&Self) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).at(Step::Clone)?;
        // Both are the child's until it executes, or is waited for as `process` is dropped: that comes before they are.
        let mut stack = Stack::new();
        let told = Told {
            plan,
            parent: theirs.as_fd(),
        };
        let (process, clocks) = namespaces.in_base(|| clone(&told, &mut stack, cgroup, uids))?;
        // The child's alone must be open, or its exec would never show as the end.
        drop(theirs);
        process.map_ids(uids)?;
        cgroup.take_in(process.pid)?;
        let_go(&ours)?;
        expect(&ours, child::ROOTED.len())?;
        set_clocks(&clocks)?;
        furnish(&process)?;
        let_go(&ours)?;
        // Its end closes when it executes.
        expect(&ours, 0)?;
        Ok(process)
    }

    fn map_ids(&self, uids: &UidRange) -> Result<(), Failure> {
        let map = uids.whole_map();
        for file in ["uid_map", "gid_map"] {
            let opened = self.open(file, OFlags::WRONLY).about(Step::MapIds, file)?;
            write(&opened, map.as_bytes()).about(Step::MapIds, file)?;
        }
        Ok(())
    }

    /// Lowers it: there is no way back. Who owns the user namespace may, which is the first of its uids.
    pub fn limit_files(&self, bytes: u64, uids: &UidRange) -> Result<(), Failure> {
        let pid = Pid::from_raw(self.pid).ok_or(Errno::SRCH).at(Step::Rlimit)?;
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        privileges::act_as(uids.first).at(Step::Rlimit)?;
        let limited = prlimit(Some(pid), Resource::Fsize, limit);
        privileges::act_as(0).at(Step::Rlimit)?;
        limited.at(Step::Rlimit).map(drop)
    }

    pub fn namespace(&self, name: &str) -> Result<OwnedFd, Failure> {
        self.open(&format!("ns/{name}"), OFlags::RDONLY)
            .about(Step::OpenNamespace, name)
    }

    /// Its pid cannot be another's: it is ours to wait for, and we did not yet.
    pub fn folder(&self) -> String {
        format!("/proc/{}", self.pid)
    }

    fn open(&self, file: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        openat(
            CWD,
            format!("{}/{file}", self.folder()),
            flags | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    pub fn wait(&mut self) -> Result<&WaitIdStatus, Failure> {
        if self.ended.is_none() {
            self.ended = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED).at(Step::WaitForChild)?;
        }
        self.ended.as_ref().ok_or(Errno::CHILD).at(Step::WaitForChild)
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        if let Err(failure) = self.wait() {
            log::warning(&failure.to_string());
        }
    }
}

/// The kernel counts inotify instances, message queues and pending signals of a user namespace against whoever made it too, within that
/// user's limits. So a sandbox's own first uid makes it: made by root, all sandboxes would share what one root may have, and the first
/// could take everything.
fn clone(told: &Told<'_>, stack: &mut Stack, cgroup: &Cgroup, uids: &UidRange) -> Result<(Process, OwnedFd), Failure> {
    if !is_missing("owner") {
        privileges::act_as(uids.first).at(Step::Clone)?;
    }
    // SAFETY: our caller keeps both for as long as the child needs them. It runs child::run alone, which neither allocates nor locks, and
    // this thread calls nothing that fails by `errno` while it does.
    let born = unsafe { clone::beside(namespaces(), cgroup.clone_target(), stack, child::run, told) };
    let process = born.map(|Born { pid, pidfd }| Process { pidfd, pid, ended: None });
    // Opened by who owns the user namespace: only he may set its clocks.
    let opened = process.and_then(|process| Ok((process.open("timens_offsets", OFlags::WRONLY)?, process)));
    privileges::act_as(0).at(Step::Clone)?;
    let (clocks, process) = opened.at(Step::Clone)?;
    Ok((process, clocks))
}

/// They begin at zero: how long the host runs is not the sandbox's business. Whole seconds: a fraction below zero would make a clock
/// negative, which the kernel refuses.
fn set_clocks(offsets: &OwnedFd) -> Result<(), Failure> {
    if is_missing("namespace-time") {
        return Ok(());
    }
    let (monotonic, boot) = (clock_gettime(ClockId::Monotonic), clock_gettime(ClockId::Boottime));
    let text = format!("monotonic -{} 0\nboottime -{} 0\n", monotonic.tv_sec, boot.tv_sec);
    write(offsets, text.as_bytes()).at(Step::TimeOffsets).map(drop)
}

fn namespaces() -> i32 {
    let planted = [
        ("namespace-user", libc::CLONE_NEWUSER),
        ("namespace-mount", libc::CLONE_NEWNS),
        ("namespace-net", libc::CLONE_NEWNET),
        ("namespace-ipc", libc::CLONE_NEWIPC),
        ("namespace-uts", libc::CLONE_NEWUTS),
        ("namespace-pid", libc::CLONE_NEWPID),
    ];
    let missing = planted.iter().filter(|(wall, _)| is_missing(wall));
    missing.fold(NAMESPACES, |all, (_, namespace)| all & !namespace)
}

/// A child that failed before it heard this has said why, which is read next.
fn let_go(ours: &OwnedFd) -> Result<(), Failure> {
    match write(ours, b"g") {
        Ok(_) | Err(Errno::PIPE) => Ok(()),
        Err(error) => Err(error).at(Step::WaitForChild),
    }
}

fn expect(ours: &OwnedFd, bytes: usize) -> Result<(), Failure> {
    let mut report = [0; REPORT_BYTES];
    let mut heard = read(ours, &mut report);
    // It ended without hearing us, which the kernel tells before what the child said.
    if heard == Err(Errno::CONNRESET) {
        heard = read(ours, &mut report);
    }
    match heard.at(Step::WaitForChild)? {
        count if count == bytes => Ok(()),
        REPORT_BYTES => Err(child::parse_report(&report).map_or(
            Failure {
                step: Step::WaitForChild,
                subject: "report".into(),
                errno: libc::EPROTO,
            },
            |(step, index, errno)| Failure {
                step,
                subject: if index > 0 { index.to_string() } else { String::new() },
                errno,
            },
        )),
        _ => Err(Errno::PROTO).at(Step::WaitForChild),
    }
}
