//! What no two machines of one template may share.
use crate::failure::{At, Failure};
use crate::kernel;
use alloc::format;
use caisson_frame::agent::failed::Step;
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_settime};

const LEAST_BYTES: usize = 32;

/// Counts as entropy at once, and what the kernel had drawn before is of no use to a generator from here on.
pub fn stir(entropy: &[u8]) -> Result<(), Failure> {
    if entropy.len() < LEAST_BYTES {
        return Err(Failure::explained(
            Step::Request,
            Errno::INVAL,
            format!("setup.entropy: {} bytes, must be {LEAST_BYTES} or more", entropy.len()),
        ));
    }
    kernel::add_entropy(entropy).at(Step::Request, "stir entropy")
}

pub fn set_clock(unix_us: i64) -> Result<(), Failure> {
    let time = Timespec {
        tv_sec: unix_us.div_euclid(1_000_000),
        tv_nsec: unix_us.rem_euclid(1_000_000) * 1_000,
    };
    clock_settime(ClockId::Realtime, time).at(Step::Request, "set clock")
}
