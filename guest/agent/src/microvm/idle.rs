//! A machine that waits takes nothing of its host's processor: what wakes it without need is turned off before it is saved.
use crate::io::{read_text, write_text};
use crate::kernel;
use crate::kernel::{sleep, uptime};
use core::time::Duration;

/// The kernel looks twice a second whether memory is in pieces, for huge pages that may be wanted one day.
const COMPACTION: &str = "/proc/sys/vm/compaction_proactiveness";
const CLOCK: &str = "/sys/devices/system/clockevents/clockevent0/current_device";
/// Of the old interval timer: where its mode is set, and the mode of its channel 0 in which it counts once, if ever it is told from where.
const TIMER_MODE: u16 = 0x43;
const COUNT_ONCE: u8 = 0x30;

/// What cannot be turned off costs some parts in a thousand of a processor, and no more.
pub fn be_quiet() {
    let _ = write_text(COMPACTION, "0");
    // From its reset on it ticks 36 times a second, also for a kernel that never looks at it; one whose only clock it is needs it.
    if read_text(CLOCK).is_ok_and(|clock| clock.starts_with("lapic")) {
        let _ = kernel::write_port(TIMER_MODE, COUNT_ONCE);
    }
}

const LOAD: &str = "/proc/loadavg";
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The kernel does some of its work a grace period later.
const LOOKS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(2);

/// Processes that were made ahead are still busy, and the kernel tidies up behind them. Of a machine that is saved meanwhile each copy would
/// have to do the rest of it, in its client's time.
pub fn wait_for_rest() {
    let deadline = uptime() + PATIENCE;
    let mut quiet = 0;
    while quiet < LOOKS && uptime() < deadline {
        sleep(LOOK_EVERY);
        quiet = if only_we_run() { quiet + 1 } else { 0 };
    }
}

/// "0.07 0.02 0.00 1/58 61": of 58 one runs.
fn only_we_run() -> bool {
    read_text(LOAD).is_ok_and(|load| load.split(' ').nth(3).is_some_and(|tasks| tasks.starts_with("1/")))
}
