//! A machine that waits takes nothing of its host's processor: what wakes it without need is turned off before it is saved.
use crate::kernel;
use std::fs::{read_to_string, write};

/// The kernel looks twice a second whether memory is in pieces, for huge pages that may be wanted one day.
const COMPACTION: &str = "/proc/sys/vm/compaction_proactiveness";
const CLOCK: &str = "/sys/devices/system/clockevents/clockevent0/current_device";
/// Of the old interval timer: where its mode is set, and the mode of its channel 0 in which it counts once, if ever it is told from where.
const TIMER_MODE: u16 = 0x43;
const COUNT_ONCE: u8 = 0x30;

/// What cannot be turned off costs some parts in a thousand of a processor, and no more.
pub fn be_quiet() {
    let _ = write(COMPACTION, "0");
    // From its reset on it ticks 36 times a second, also for a kernel that never looks at it; one whose only clock it is needs it.
    if read_to_string(CLOCK).is_ok_and(|clock| clock.starts_with("lapic")) {
        let _ = kernel::write_port(TIMER_MODE, COUNT_ONCE);
    }
}
