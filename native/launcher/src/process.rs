//! The first process of a sandbox, seen from outside: clone, map, let go, and at last kill.
use crate::cgroup::Cgroup;
use crate::child::{self, REPORT_BYTES};
use crate::log;
use crate::namespaces::MountNamespaces;
use crate::plan::Plan;
use crate::planted::is_missing;
use crate::privileges;
use crate::step::{At, Failure, Step};
use crate::sys::{self, Cloned};
use crate::uids::UidRange;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, prlimit, waitid};
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
        let process = namespaces.in_base(|| clone(plan, cgroup, &theirs, uids))?;
        // Ours alone must hold it open, or the child's exec would never show as its end.
        drop(theirs);
        process.map_ids(uids)?;
        cgroup.take_in(process.pid)?;
        write(&ours, b"g").at(Step::WaitForChild)?;
        expect(&ours, child::ROOTED.len())?;
        furnish(&process)?;
        write(&ours, b"g").at(Step::WaitForChild)?;
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
fn clone(plan: &Plan<'_>, cgroup: &Cgroup, theirs: &OwnedFd, uids: &UidRange) -> Result<Process, Failure> {
    if !is_missing("owner") {
        privileges::act_as(uids.first).at(Step::Clone)?;
    }
    // SAFETY: the child calls nothing but child::run, which neither allocates nor locks.
    let cloned = match unsafe { sys::clone_into(namespaces(), Some(cgroup.clone_target())) } {
        Ok(Cloned::Child) => child::run(plan, theirs.as_fd()),
        Ok(Cloned::Parent { pid, pidfd }) => Ok(Process { pidfd, pid, ended: None }),
        Err(errno) => Err(errno),
    };
    privileges::act_as(0).at(Step::Clone)?;
    cloned.at(Step::Clone)
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

fn expect(ours: &OwnedFd, bytes: usize) -> Result<(), Failure> {
    let mut report = [0; REPORT_BYTES];
    match read(ours, &mut report).at(Step::WaitForChild)? {
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
