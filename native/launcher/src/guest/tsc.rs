use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

/// The longer, the truer: the two clocks are read within a microsecond of each other.
const MEASURED: Duration = Duration::from_millis(100);

/// Of the time stamp counter, measured once.
pub fn khz() -> u64 {
    static KHZ: OnceLock<u64> = OnceLock::new();
    *KHZ.get_or_init(|| {
        let (ticks, nanoseconds) = read();
        sleep(MEASURED);
        let (later_ticks, later_nanoseconds) = read();
        let elapsed = (later_nanoseconds - nanoseconds).max(1);
        ((u128::from(later_ticks - ticks) * 1_000_000 + elapsed / 2) / elapsed) as u64
    })
}

/// Of a few tries the one that was interrupted least.
fn read() -> (u64, u128) {
    let tries = (0..16).map(|_| {
        let before = now();
        // SAFETY: the instruction only reads a counter.
        let ticks = unsafe { core::arch::x86_64::_rdtsc() };
        let after = now();
        (after - before, ticks, before + (after - before) / 2)
    });
    let (_, ticks, at) = tries.min_by_key(|(took, _, _)| *took).unwrap_or_default();
    (ticks, at)
}

fn now() -> u128 {
    let time = clock_gettime(ClockId::MonotonicRaw);
    time.tv_sec as u128 * 1_000_000_000 + time.tv_nsec as u128
}
