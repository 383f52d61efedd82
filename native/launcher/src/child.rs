//! From clone to exec, in the child: it shares the launcher's memory, and is another user already. So nothing here allocates or waits for
//! a lock, what a process has of its memory stays as it is, and what goes wrong is reported as three numbers.
use crate::labels;
use crate::namespaces::loopback_up;
use crate::plan::{Confinement, Executable, FIRST_DESCRIPTOR, Plan};
use crate::planted::{self, is_missing};
use crate::privileges;
use crate::spec::MAX_LISTED;
use crate::step::Step;
use crate::sys;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, write};
use rustix::mount::{UnmountFlags, mount, mount_bind_recursive, unmount};
use rustix::process::{Rlimit, Signal, chdir, pivot_root, set_parent_process_death_signal, setrlimit};
use rustix::thread::{Gid, Uid, UnshareFlags, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::convert::Infallible;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Layers to be listed or folded, or a VMM's disks; other files of theirs; program, fence and parent.
const MAX_DESCRIPTORS: usize = MAX_LISTED + 16;

pub struct StepError {
    pub step: Step,
    pub index: u32,
    pub errno: Errno,
}

type Done<T = ()> = Result<T, StepError>;

pub struct Told<'a> {
    pub plan: &'a Plan<'a>,
    pub parent: BorrowedFd<'a>,
}

/// Waits for a byte on `parent` (by then the ids are mapped and every cgroup is entered), makes its root, says so, waits for another, and
/// becomes the program; it exits only when that fails. A successful exec closes its end of `parent`.
pub extern "C" fn run(told: &Told<'_>) -> ! {
    let Told { plan, parent } = *told;
    match place_descriptors(plan, parent) {
        Err(error) => report(parent, &error),
        Ok(Placed { program, fence, parent }) => {
            let Err(error) = become_program(plan, program, fence, parent);
            report(parent, &error)
        }
    }
}

fn report(parent: BorrowedFd<'_>, error: &StepError) -> ! {
    let mut report = [0; REPORT_BYTES];
    report[..4].copy_from_slice(&(error.step as u32).to_ne_bytes());
    report[4..8].copy_from_slice(&error.index.to_ne_bytes());
    report[8..].copy_from_slice(&error.errno.raw_os_error().to_ne_bytes());
    let _ = write(parent, &report);
    // SAFETY: ends the process; what Rust would run at exit belongs to the parent.
    unsafe { libc::_exit(1) }
}

pub const REPORT_BYTES: usize = 12;
pub const ROOTED: &[u8] = b"r";

pub fn parse_report(report: &[u8; REPORT_BYTES]) -> Option<(Step, u32, i32)> {
    let number = |at: usize| report[at..at + 4].try_into().map(u32::from_ne_bytes).ok();
    Some((Step::from_number(number(0)?)?, number(4)?, number(8)? as i32))
}

struct Placed<'a> {
    program: BorrowedFd<'a>,
    fence: BorrowedFd<'a>,
    parent: BorrowedFd<'a>,
}

fn become_program(plan: &Plan<'_>, program: BorrowedFd<'_>, fence: BorrowedFd<'_>, parent: BorrowedFd<'_>) -> Done<Infallible> {
    at(Step::Signals, sys::default_signals())?;
    wait_for_go(parent)?;
    own_clock_and_cgroup()?;
    become_root_of_namespace()?;
    // After the change of uid, which clears the signal. That the launcher did not die before shows by its second byte: neither the
    // parent's pid, which is 0 from in here, nor the socket, which closes later than its thread ends, would tell.
    at(Step::DieWithParent, set_parent_process_death_signal(Some(Signal::KILL)))?;
    if !is_missing("namespace-net") {
        at(Step::Loopback, loopback_up())?;
    }
    ask_for_label(plan.root.label)?;
    change_root(plan)?;
    silence_standard_streams()?;
    if let Some(errors) = plan.errors {
        at(Step::Descriptors, sys::place(errors, 2, true))?;
    }
    at(Step::WaitForParent, write(parent, ROOTED))?;
    wait_for_go(parent)?;
    if let Some(confinement) = &plan.confinement {
        give_up(confinement, plan.fence().map(|_| fence))?;
    }
    let inside;
    let program = match plan.program {
        Executable::Open(_) => program,
        Executable::Inside(path) => {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            inside = at(Step::Exec, openat(CWD, path, flags, Mode::empty()))?;
            inside.as_fd()
        }
    };
    // SAFETY: the plan's arguments end with a null pointer, and so does the empty environment.
    at(Step::Exec, unsafe {
        sys::execute(program, plan.args.as_ptr(), [std::ptr::null()].as_ptr())
    })
}

fn wait_for_go(parent: BorrowedFd<'_>) -> Done {
    let mut go = [0];
    match at(Step::WaitForParent, read(parent, &mut go))? {
        1 => Ok(()),
        _ => at(Step::WaitForParent, Err(Errno::PIPE)),
    }
}

/// The cgroup namespace comes after the move into the cgroup, or the host's path would show. A clone cannot make a time namespace
/// together with the others; the exec moves into this one, which the parent sets.
fn own_clock_and_cgroup() -> Done {
    for (wall, namespace) in [
        ("namespace-cgroup", UnshareFlags::NEWCGROUP),
        ("namespace-time", UnshareFlags::NEWTIME),
    ] {
        if !is_missing(wall) {
            at(Step::Unshare, sys::unshare(namespace))?;
        }
    }
    Ok(())
}

fn become_root_of_namespace() -> Done {
    at(Step::Groups, set_thread_groups(&[]))?;
    at(Step::Gid, set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT))?;
    at(Step::Uid, set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT))
}

/// The exec takes it. By the host's /proc, for a root need not have one.
fn ask_for_label(label: Option<&CStr>) -> Done {
    let Some(label) = label else { return Ok(()) };
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = at(Step::Label, openat(CWD, labels::ASKED_AT, flags, Mode::empty()))?;
    at(Step::Label, write(&file, label.to_bytes()).map(drop))
}

fn change_root(plan: &Plan<'_>) -> Done {
    let root = plan.root.path.as_c_str();
    // pivot_root wants a mount; entered by its path after the bind, for the path then leads to the bind's root.
    at(Step::BindRoot, mount_bind_recursive(root, root))?;
    at(Step::BindRoot, chdir(root))?;
    for (index, wanted) in plan.mounts.iter().enumerate() {
        let result = match planted::instead_of(wanted.kind) {
            Some(of_the_host) => mount_bind_recursive(of_the_host, wanted.target),
            None => mount(wanted.kind, wanted.target, wanted.kind, wanted.flags, wanted.options),
        };
        result.map_err(|errno| StepError {
            step: Step::MountInRoot,
            index: index as u32,
            errno,
        })?;
    }
    at(Step::PivotRoot, pivot_root(c".", c"."))?;
    at(Step::LeaveHostTree, unmount(c".", UnmountFlags::DETACH))?;
    at(Step::LeaveHostTree, chdir(c"/"))
}

fn give_up(confinement: &Confinement<'_>, fence: Option<BorrowedFd<'_>>) -> Done {
    for (resource, limit) in confinement.limits {
        let limit = Rlimit {
            current: Some(*limit),
            maximum: Some(*limit),
        };
        at(Step::Rlimit, setrlimit(*resource, limit))?;
    }
    at(Step::BoundingSet, privileges::bound(confinement.capabilities))?;
    at(Step::Capabilities, privileges::hold(confinement.capabilities))?;
    at(Step::NoNewPrivs, set_no_new_privs(true))?;
    // After the last mount, which it would forbid.
    fence.map_or(Ok(()), |fence| at(Step::Landlock, sys::landlock_restrict(fence)))?;
    confinement
        .filter
        .map_or(Ok(()), |filter| at(Step::Seccomp, caisson_seccomp::attach(filter)))
}

/// The plan's, then program, fence and parent; everything else closes: in a copy of every other sandbox's descriptors, among them the ends by
/// which their children learn that the launcher died.
fn place_descriptors<'a>(plan: &Plan<'_>, parent: BorrowedFd<'_>) -> Done<Placed<'a>> {
    let mut sources = [-1; MAX_DESCRIPTORS];
    let program = match &plan.program {
        Executable::Open(program) => program,
        // Any holds its place.
        Executable::Inside(_) => &parent,
    };
    let fence = plan.fence().unwrap_or(parent);
    let wanted = plan.descriptors.iter().chain([program, &fence, &parent]);
    // Beyond all that are placed, and not further: the limit of open files may be low.
    let out_of_the_way = FIRST_DESCRIPTOR + wanted.clone().count() as RawFd;
    for (source, descriptor) in sources.iter_mut().zip(wanted) {
        *source = at(Step::Descriptors, sys::move_up(descriptor.as_raw_fd(), out_of_the_way))?;
    }
    let mut next = FIRST_DESCRIPTOR;
    for source in sources.into_iter().take_while(|&source| source >= 0) {
        let survives = next < FIRST_DESCRIPTOR + plan.descriptors.len() as RawFd;
        at(Step::Descriptors, sys::place(source, next, survives))?;
        next += 1;
    }
    at(Step::Descriptors, sys::close_from(next))?;
    // SAFETY: all were placed just now, and stay open until this process executes or exits.
    let placed = |from_end| unsafe { BorrowedFd::borrow_raw(next - from_end) };
    Ok(Placed {
        program: placed(3),
        fence: placed(2),
        parent: placed(1),
    })
}

/// With the sandbox's own device: the host's would keep a door to the host's tree open.
fn silence_standard_streams() -> Done {
    let null = at(
        Step::Descriptors,
        openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()),
    )?;
    (0..FIRST_DESCRIPTOR).try_for_each(|stream| at(Step::Descriptors, sys::place(null.as_raw_fd(), stream, true)))
}

fn at<T>(step: Step, result: rustix::io::Result<T>) -> Done<T> {
    result.map_err(|errno| StepError { step, index: 0, errno })
}
