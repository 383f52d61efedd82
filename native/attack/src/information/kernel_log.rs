use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, open, read};

pub const ATTACK: Attack = Attack {
    name: "kernel-log",
    tries: "reads and clears the kernel's log, and writes lines of its own into it",
    stands_for: "dmesg in containers: addresses, names of neighbours that crashed",
    must: "no way to it is open",
    ..Attack::new(Class::Information, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let buffer = [0_u8; 4096];
    for action in [2, 3, 4, 5, 6, 8, 9, 10] {
        tries.filtered(
            &format!("syslog {action}"),
            call(libc::SYS_syslog, [action, buffer.as_ptr() as i64, 4096]),
        );
    }
    for path in [
        "/dev/kmsg",
        "/proc/kmsg",
        "/sys/kernel/debug/printk",
        "/dev/log",
        "/run/systemd/journal/socket",
    ] {
        tries.refused(&format!("read {path}"), open(path, libc::O_RDONLY | libc::O_NONBLOCK));
        tries.refused(&format!("write {path}"), open(path, libc::O_WRONLY | libc::O_NONBLOCK));
    }
    tries.check("/proc/kmsg has lines", read("/proc/kmsg").is_err());
    tries.verdict()
}
