//! What nobody may see or change below /proc.
//!
//! /proc is fresh, of the nested pid namespace; `hidepid=ptraceable` leaves in it only what the reader may trace, so that the nested init
//! (its environment, mounts and executable) is not even listed.
use crate::failure::{At, Failure};
use crate::planted::is_missing;
use caisson_frame::agent::failed::Step;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};

/// Facts about the machine or other users of it, or doors into the kernel. The first part is what OCI runtimes mask.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    // The rest is not in the OCI list.
    "/proc/cmdline",
    "/proc/diskstats",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/kallsyms",
    "/proc/key-users",
    "/proc/modules",
    // Here only where root of the sandbox is root of a machine: in a container their modes say enough.
    "/proc/dynamic_debug",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/pagetypeinfo",
    "/proc/partitions",
    "/proc/slabinfo",
    "/proc/vmallocinfo",
];

const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub fn mount_proc() -> Result<(), Failure> {
    let hiding = if is_missing("hidepid") { c"" } else { c"hidepid=ptraceable" };
    mount("proc", "/proc", "proc", locked_down(), hiding).at(Step::Proc, "mount /proc")?;
    for path in MASKED.iter().filter(|_| !is_missing("masks")) {
        unless_missing(mask(path)).at(Step::Proc, format_args!("mask {path}"))?;
    }
    for path in READ_ONLY.iter().filter(|_| !is_missing("read-only")) {
        unless_missing(protect(path)).at(Step::Proc, format_args!("protect {path}"))?;
    }
    Ok(())
}

fn locked_down() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC
}

fn mask(path: &str) -> Result<(), Errno> {
    match mount_bind("/dev/null", path) {
        // It is a folder.
        Err(Errno::NOTDIR) => mount(
            "none",
            path,
            "tmpfs",
            locked_down() | MountFlags::RDONLY,
            c"size=4k,nr_inodes=2,mode=555",
        ),
        other => other,
    }
}

fn protect(path: &str) -> Result<(), Errno> {
    mount_bind(path, path)?;
    mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | locked_down(), c"")
}

/// Which of these files exist depends on the kernel.
fn unless_missing(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
