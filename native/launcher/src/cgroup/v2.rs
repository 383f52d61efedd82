use super::folder::field;
use super::{CPU_PERIOD_US, Cgroup, Counters, Limits, OomEvent, Version};
use crate::step::Failure;
use rustix::event::PollFlags;
use rustix::io::pread;
use std::os::fd::OwnedFd;

/// Children get these controllers. The root and `caisson-NAME` hold no process themselves, as the kernel demands.
pub fn delegate(cgroup: &Cgroup) -> Result<(), Failure> {
    let file = "cgroup.subtree_control";
    match cgroup.unified().write(file, "+memory +pids +cpu") {
        // Only of a tree whose root is not the machine's: that of a container around this one.
        Err(Failure {
            step,
            errno: libc::EBUSY,
            ..
        }) => Err(Failure {
            step,
            subject: format!("{file} while its root holds processes"),
            errno: libc::EBUSY,
        }),
        other => other,
    }
}

/// Returns how much swap it may use; None where the kernel counts none.
pub fn limit(cgroup: &Cgroup, limits: &Limits) -> Result<Option<u64>, Failure> {
    let folder = cgroup.unified();
    folder.write("memory.max", &limits.memory_bytes.to_string())?;
    folder.write("memory.high", &wait_for_disk_at(limits.memory_bytes).to_string())?;
    let swap_bytes = match folder.write("memory.swap.max", "0") {
        // A kernel without swap has no such file, nor one that was started with swapaccount=0.
        Err(failure) if failure.errno == libc::ENOENT => None,
        other => other.map(|()| Some(0))?,
    };
    folder.write("pids.max", &limits.pids.to_string())?;
    if let Some(millis) = limits.cpu_millis {
        folder.write("cpu.max", &format!("{} {CPU_PERIOD_US}", millis * CPU_PERIOD_US / 1_000))?;
    }
    Ok(swap_bytes)
}

/// From here on the kernel makes a process give pages back before it gets more, and wait while they are being written. Without it, kernels
/// whose reclaim is generational (MGLRU) kill a program that only writes files faster than the disk takes them, its pages being dirty; with
/// half of this gap they still did at times. With a wider one, whatever truly needs more is slowed down for long before it is killed.
fn wait_for_disk_at(max: u64) -> u64 {
    max - (max / 16).min(2 << 20)
}

/// Writes through the page cache too: they are written back on behalf of who made them.
pub fn limit_disk(cgroup: &Cgroup, device: u64, bytes_per_second: u64) -> Result<(), Failure> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let rate = format!("{major}:{minor} rbps={bytes_per_second} wbps={bytes_per_second}");
    cgroup.unified().write("io.max", &rate)
}

pub fn oom_event(cgroup: &Cgroup) -> Result<OomEvent, Failure> {
    let event = OomEvent {
        fd: cgroup.unified().open_to_read("memory.events")?,
        flags: PollFlags::PRI,
        version: Version::V2,
    };
    event.fired();
    Ok(event)
}

/// Counts what was killed, not what was asked for in vain (`oom`): pages that a disk gives back meanwhile are as good. Reads the polled file
/// itself: POLLPRI tells of changes since that one was last read.
pub fn ran_out_of_memory(events: &OwnedFd) -> bool {
    let mut buffer = [0; 512];
    let length = pread(events, &mut buffer, 0).unwrap_or(0);
    field(&String::from_utf8_lossy(&buffer[..length]), "oom_kill").is_some_and(|count| count > 0)
}

pub fn counters(cgroup: &Cgroup) -> Counters {
    let folder = cgroup.unified();
    let events = folder.read("memory.events").ok();
    let event = |name| field(events.as_deref()?, name);
    Counters {
        memory_peak_bytes: folder.number("memory.peak"),
        pids_peak: folder.number("pids.peak"),
        oom_kills: event("oom_kill"),
        pids_denied: folder.field("pids.events", "max"),
        memory_limit_hits: event("high").zip(event("max")).map(|(high, max)| high + max),
        memory_oom_events: event("oom"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::folder::fake;

    fn cgroup(files: &[(&str, &str)]) -> Cgroup {
        Cgroup {
            version: Version::V2,
            cpu_apart: false,
            folders: vec![fake(files)],
        }
    }

    #[test]
    fn writes_every_limit() {
        let files = ["memory.max", "memory.high", "memory.swap.max", "pids.max", "cpu.max"];
        let cgroup = cgroup(&files.map(|file| (file, "")));
        let swap = limit(
            &cgroup,
            &Limits {
                cpu_millis: Some(1_500),
                memory_bytes: 1 << 20,
                pids: 7,
            },
        )
        .expect("limits");
        assert_eq!(swap, Some(0));
        let read = |file| cgroup.unified().read(file).expect("file");
        assert_eq!(read("memory.max"), "1048576");
        assert_eq!(read("memory.high"), "983040");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("pids.max"), "7");
        assert_eq!(read("cpu.max"), "150000 100000");
    }

    #[test]
    fn leaves_two_mebibytes_at_most_above_where_it_waits() {
        assert_eq!(wait_for_disk_at(4 << 20), (4 << 20) - (256 << 10));
        assert_eq!(wait_for_disk_at(256 << 20), 254 << 20);
    }

    #[test]
    fn a_disk_is_slowed_down_by_its_number() {
        let cgroup = cgroup(&[("io.max", "")]);
        limit_disk(&cgroup, rustix::fs::makedev(7, 300), 65_536).expect("limit");
        assert_eq!(cgroup.unified().read("io.max").expect("file"), "7:300 rbps=65536 wbps=65536");
    }

    #[test]
    fn a_kernel_without_swap_has_no_limit_of_it() {
        let cgroup = cgroup(&[("memory.max", ""), ("memory.high", ""), ("pids.max", "")]);
        let swap = limit(
            &cgroup,
            &Limits {
                cpu_millis: None,
                memory_bytes: 1,
                pids: 1,
            },
        )
        .expect("limits");
        assert_eq!(swap, None);
    }

    #[test]
    fn counts_what_the_kernel_counts() {
        let events = ("memory.events", "low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\n");
        let cgroup = cgroup(&[events, ("memory.peak", "4096\n"), ("pids.events", "max 5\n")]);
        let counters = counters(&cgroup);
        assert_eq!((counters.memory_peak_bytes, counters.pids_peak), (Some(4096), None));
        assert_eq!((counters.oom_kills, counters.pids_denied), (Some(1), Some(5)));
        assert_eq!((counters.memory_limit_hits, counters.memory_oom_events), (Some(12), Some(2)));
        assert!(oom_event(&cgroup).expect("event").fired());
    }

    #[test]
    fn an_event_of_another_kind_is_no_want_of_memory() {
        let cgroup = cgroup(&[("memory.events", "low 0\nhigh 7\nmax 9\noom 2\noom_kill 0\n")]);
        assert!(!oom_event(&cgroup).expect("event").fired());
    }
}
