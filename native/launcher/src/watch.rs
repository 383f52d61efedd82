//! What ends a sandbox by the clock, or for want of memory. Nothing is polled at an interval: the next look at the cpu time is when, at
//! the rate allowed, what is left of it could be used up.
use crate::cgroup::{Cgroup, CpuTime};
use crate::spec::Start;
use crate::step::Failure;
use crate::sys;
use caisson_frame::launch::StopReason;
use std::time::{Duration, Instant};

/// Near the end of its cpu time a sandbox is looked at this often, and so exceeds it by no more.
const CPU_GRAIN: Duration = Duration::from_millis(10);

pub struct Watch {
    pub started: Instant,
    wall: Duration,
    cpu: Duration,
    /// Processor seconds per second at most.
    cpu_rate: f64,
    next_look: Instant,
    before: CpuTime,
}

impl Watch {
    pub fn new(start: &Start, started: Instant, before: CpuTime) -> Self {
        let processors = sys::processors() as f64;
        let rate = start
            .limits
            .cpu_millis
            .map_or(processors, |millis| (millis as f64 / 1_000.0).min(processors));
        let cpu = Duration::from_millis(start.cpu_ms);
        let mut watch = Self {
            started,
            wall: Duration::from_millis(start.wall_ms),
            cpu,
            cpu_rate: rate,
            next_look: started,
            before,
        };
        watch.plan_look(Duration::ZERO, started);
        watch
    }

    /// Until when nothing can run out.
    pub fn patience(&self, now: Instant) -> Duration {
        let wall = self.started + self.wall;
        wall.min(self.next_look).saturating_duration_since(now)
    }

    pub fn ran_out(&mut self, payload: &Cgroup, now: Instant) -> Result<Option<StopReason>, Failure> {
        if now >= self.started + self.wall {
            return Ok(Some(StopReason::WallTime));
        }
        if now < self.next_look {
            return Ok(None);
        }
        let used = Duration::from_micros(self.used(payload)?.total_us);
        self.plan_look(used, now);
        Ok(self.cpu_exceeded(used).then_some(StopReason::CpuTime))
    }

    /// Since the start.
    pub fn used(&self, payload: &Cgroup) -> Result<CpuTime, Failure> {
        Ok(payload.cpu_time()?.since(self.before))
    }

    pub fn cpu_exceeded(&self, used: Duration) -> bool {
        used > self.cpu
    }

    fn plan_look(&mut self, used: Duration, now: Instant) {
        let left = self.cpu.saturating_sub(used).div_f64(self.cpu_rate);
        self.next_look = now + left.max(CPU_GRAIN);
    }
}
