use super::folder::field;
use super::{CPU_PERIOD_US, Cgroup, Counters, Limits, OomEvent, Version};
use crate::step::Failure;
use rustix::event::PollFlags;
use rustix::io::pread;
use std::os::fd::OwnedFd;

/// Children get these controllers. The root and `caisson-NAME` hold no process themselves, as the kernel demands.
pub fn delegate(cgroup: &Cgroup) -> Result<(), Failure> {
    cgroup.unified().write("cgroup.subtree_control", "+memory +pids +cpu")
}

pub fn limit(cgroup: &Cgroup, limits: &Limits) -> Result<(), Failure> {
    let folder = cgroup.unified();
    folder.write("memory.max", &limits.memory_bytes.to_string())?;
    match folder.write("memory.swap.max", "0") {
        // A kernel without swap has no such file.
        Err(failure) if failure.errno != libc::ENOENT => return Err(failure),
        _ => {}
    }
    folder.write("pids.max", &limits.pids.to_string())?;
    match limits.cpu_millis {
        Some(millis) => folder.write("cpu.max", &format!("{} {CPU_PERIOD_US}", millis * CPU_PERIOD_US / 1_000)),
        None => Ok(()),
    }
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

/// Reads the polled file itself: POLLPRI tells of changes since that one was last read.
pub fn ran_out_of_memory(events: &OwnedFd) -> bool {
    let mut buffer = [0; 512];
    let length = pread(events, &mut buffer, 0).unwrap_or(0);
    field(&String::from_utf8_lossy(&buffer[..length]), "oom").is_some_and(|count| count > 0)
}

pub fn counters(cgroup: &Cgroup) -> Counters {
    let folder = cgroup.unified();
    Counters {
        memory_peak_bytes: folder.number("memory.peak"),
        pids_peak: folder.number("pids.peak"),
        oom_kills: folder.field("memory.events", "oom_kill"),
        pids_denied: folder.field("pids.events", "max"),
    }
}
