//! What a payload used, as the kernel counted it.
use crate::cgroup::{Cgroup, CpuTime};
use crate::step::{At, Failure, Step};
use crate::walls::Walls;
use crate::watch::Watch;
use caisson_frame::launch::{Finished, StopReason};
use rustix::io::Errno;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a killed payload may take to be gone: with much memory it is some hundred milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counters are true only once nothing runs: a killed process still adds to them until it is gone.
pub fn end_payload(payload: &Cgroup) -> Result<(), Failure> {
    if payload.is_empty()? {
        return Ok(());
    }
    payload.kill()?;
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    while !payload.is_empty()? {
        if Instant::now() > deadline {
            return Err(Errno::TIMEDOUT).about(Step::Watch, "payload outlives its kill");
        }
        // The kernel tells of emptiness at most every 10 ms, which is too late.
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
    Ok(())
}

pub fn account(walls: &dyn Walls, watch: Option<&Watch>, ended: Instant) -> Result<Finished, Failure> {
    let cpu = match watch {
        Some(watch) => watch.used(walls.payload())?,
        None => CpuTime::default(),
    };
    let counters = walls.payload().counters();
    let disk = walls.disk_use()?;
    let mut finished = Finished {
        wall_us: watch.map(|watch| ended.duration_since(watch.started).as_micros() as u64),
        cpu_user_us: Some(cpu.user_us),
        cpu_system_us: Some(cpu.system_us),
        memory_peak_bytes: counters.memory_peak_bytes,
        pids_peak: counters.pids_peak,
        oom_kills: counters.oom_kills,
        pids_denied: counters.pids_denied,
        disk_used_bytes: disk.as_ref().map(|disk| disk.used_bytes),
        disk_full: disk.map(|disk| disk.full),
        memory_limit_hits: counters.memory_limit_hits,
        memory_oom_events: counters.memory_oom_events,
        pressure: walls.payload().pressure(),
        ..Finished::default()
    };
    finished.set_reason(unseen_reason(&finished, watch, Duration::from_micros(cpu.total_us)));
    Ok(finished)
}

/// What was exceeded just before the end, faster than its event could be looked at.
fn unseen_reason(finished: &Finished, watch: Option<&Watch>, cpu: Duration) -> StopReason {
    if finished.oom_kills.is_some_and(|kills| kills > 0) {
        StopReason::Oom
    } else if watch.is_some_and(|watch| watch.cpu_exceeded(cpu)) {
        StopReason::CpuTime
    } else {
        StopReason::Unspecified
    }
}
