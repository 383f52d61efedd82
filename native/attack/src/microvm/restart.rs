use super::ONLY;
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, open, signal, write};

pub const ATTACK: Attack = Attack {
    name: "machine-restart",
    tries: "restarts, halts or crashes its machine, so that its end looks like the host's doing",
    stands_for: "guests that loop in reboot and panic, at the price of their host",
    must: "the machine goes on, and the program ends by itself",
    backends: ONLY,
    ..Attack::new(Class::Microvm, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for command in [0x0123_4567_i64, 0x4321_fedc, 0xcdef_0123, 0xa1b2_c3d4, 0xd000_fce2] {
        let answer = call(libc::SYS_reboot, [0xfee1_dead, 672_274_793, command, 0]);
        tries.filtered(&format!("reboot {command:x}"), answer);
    }
    for letter in [b"b", b"c", b"o", b"e", b"i"] {
        tries.refused("sysrq", write("/proc/sysrq-trigger", letter));
    }
    for path in [
        "/dev/watchdog",
        "/dev/watchdog0",
        "/dev/initctl",
        "/run/initctl",
        "/sys/power/state",
        "/sys/kernel/kexec_crash_size",
    ] {
        tries.refused(&format!("open {path}"), open(path, libc::O_WRONLY | libc::O_NONBLOCK));
    }
    let _ = signal(1, libc::SIGINT);
    let _ = signal(1, libc::SIGPWR);
    tries.verdict()
}
