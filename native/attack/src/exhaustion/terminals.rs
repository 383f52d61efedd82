use crate::attack::{Attack, Class, Limits, TIGHT, Verdict};
use crate::kernel::{call, open};
use std::os::fd::IntoRawFd;

pub const ATTACK: Attack = Attack {
    name: "terminals",
    tries: "opens every pseudo-terminal, of which the machine has 4,096 for all together",
    stands_for: "hosts that take no login any more (kernel.pty.max)",
    must: "a run has a share of its own, and a neighbour gets one",
    ends: &["CANCELLED"],
    holds: true,
    limits: Limits {
        open_files: 6000,
        memory_mib: 256,
        ..TIGHT
    },
    ..Attack::new(Class::Exhaustion, run)
};

fn run() -> Verdict {
    let mut count = 0;
    while count < 5_000 {
        let Ok(terminal) = open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY) else {
            break;
        };
        let unlock = 0_i32;
        let _ = call(
            libc::SYS_ioctl,
            [
                terminal.into_raw_fd().into(),
                libc::TIOCSPTLCK as i64,
                &raw const unlock as i64,
            ],
        );
        count += 1;
    }
    if count <= 256 {
        Verdict::Held(format!("{count} terminals"))
    } else {
        Verdict::Broken(format!("{count} terminals"))
    }
}
