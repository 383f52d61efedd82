use super::{CPU, CPU_PERIOD_US, Cgroup, Counters, Half, Limits, MEMORY, OomEvent, PIDS, Version};
use crate::planted::is_missing;
use crate::step::{At, Failure, Step};
use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::io::Errno;
use std::os::fd::AsRawFd;

/// Buffers of TCP and UDP sockets are counted apart, and not at all before they have a limit; then a program could take what the whole
/// machine may use for them.
const SOCKETS_SHARE: u64 = 4;

/// Limits hold for everything below: where an agent has some, it lies beside its payload. Elsewhere its folder is the sandbox's own, with the
/// payload's in it, so that the two share what the sandbox gets of the processors, and one `cgroup.kill` reaches both. Every folder less is
/// one less to make, and for the kernel to take apart behind the scenes.
pub fn place(base: &Cgroup, hierarchy: usize, id: &str, half: Half) -> String {
    let limited = match hierarchy {
        MEMORY | PIDS => true,
        CPU => !base.cpu_apart,
        _ => false,
    };
    match half {
        _ if limited => format!("{id}.{}", half.name()),
        Half::Agent => id.to_owned(),
        Half::Payload => format!("{id}/{}", half.name()),
    }
}

/// Returns how much swap it may use; None where the kernel counts none.
pub fn limit(cgroup: &Cgroup, limits: &Limits) -> Result<Option<u64>, Failure> {
    let memory = limits.memory_bytes.to_string();
    cgroup.memory().write("memory.limit_in_bytes", &memory)?;
    let swap_bytes = forbid_swap(cgroup, &memory)?;
    limit_sockets(cgroup, limits.memory_bytes / SOCKETS_SHARE)?;
    cgroup.pids().write("pids.max", &limits.pids.to_string())?;
    if let Some(millis) = limits.cpu_millis {
        let quota = (millis * CPU_PERIOD_US / 1_000).to_string();
        cgroup.cpu().write("cpu.cfs_quota_us", &quota)?;
    }
    Ok(swap_bytes)
}

/// Memory and swap together may be no more than memory. Without that file the kernel counts no swap: then it is asked to use none.
fn forbid_swap(cgroup: &Cgroup, memory: &str) -> Result<Option<u64>, Failure> {
    match cgroup.memory().write("memory.memsw.limit_in_bytes", memory) {
        Err(failure) if failure.errno == libc::ENOENT => cgroup.memory().write("memory.swappiness", "0").map(|()| None),
        other => other.map(|()| Some(0)),
    }
}

/// A kernel without that file has no such sockets.
fn limit_sockets(cgroup: &Cgroup, bytes: u64) -> Result<(), Failure> {
    if is_missing("limit-sockets") {
        return Ok(());
    }
    match cgroup.memory().write("memory.kmem.tcp.limit_in_bytes", &bytes.to_string()) {
        Err(failure) if failure.errno == libc::ENOENT => Ok(()),
        other => other,
    }
}

/// Its blkio controller knows who reads, and who writes past the page cache or waits for it; but not for whom the cache is written back. A
/// limit that holds of some writes is none.
pub fn limit_disk() -> Result<(), Failure> {
    Err(Errno::OPNOTSUPP).about(Step::WriteCgroup, "disk_bytes_per_second on cgroup v1")
}

pub fn oom_event(cgroup: &Cgroup) -> Result<OomEvent, Failure> {
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).at(Step::WatchMemory)?;
    let control = cgroup.memory().open_to_read("memory.oom_control")?;
    cgroup
        .memory()
        .write("cgroup.event_control", &format!("{} {}", fd.as_raw_fd(), control.as_raw_fd()))?;
    Ok(OomEvent {
        fd,
        flags: PollFlags::IN,
        version: Version::V1,
    })
}

/// The same number limits memory, and memory with swap, which is charged first; and some kernels (6.18) do not count what fails there. So
/// none says nothing.
fn limit_hits(cgroup: &Cgroup) -> Option<u64> {
    let with_swap = cgroup.memory().number("memory.memsw.failcnt").unwrap_or(0);
    Some(cgroup.memory().number("memory.failcnt")? + with_swap).filter(|&hits| hits > 0)
}

pub fn counters(cgroup: &Cgroup) -> Counters {
    Counters {
        memory_peak_bytes: cgroup.memory().number("memory.max_usage_in_bytes"),
        pids_peak: cgroup.pids().number("pids.peak"),
        oom_kills: cgroup.memory().field("memory.oom_control", "oom_kill"),
        pids_denied: cgroup.pids().field("pids.events", "max"),
        memory_limit_hits: limit_hits(cgroup),
        memory_oom_events: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(cpu_apart: bool) -> [[String; 2]; 4] {
        let base = Cgroup {
            version: Version::V1,
            cpu_apart,
            folders: vec![],
        };
        [MEMORY, PIDS, CPU, CPU + 1].map(|hierarchy| [Half::Agent, Half::Payload].map(|half| place(&base, hierarchy, "7", half)))
    }

    #[test]
    fn no_half_is_below_the_limits_of_the_other() {
        let (beside, within) = (["7.agent", "7.payload"], ["7", "7/payload"]);
        assert_eq!(places(true), [beside, beside, within, within]);
        assert_eq!(places(false), [beside, beside, beside, within]);
    }
}
