use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, open};
use std::os::fd::AsRawFd;

pub const ATTACK: Attack = Attack {
    name: "terminal",
    tries: "types commands into the terminal of whoever started it, switches consoles, opens the host's",
    stands_for: "CVE-2017-5226 (bubblewrap, TIOCSTI), CVE-2023-1523 (snap, TIOCLINUX), CVE-2025-52565 (runc, /dev/console)",
    must: "it has no terminal but those it makes itself",
    ..Attack::new(Class::Privileges, run)
};

const TIOCLINUX: i64 = 0x541c;

fn run() -> Verdict {
    let mut tries = Tries::default();
    let letter = b'x';
    for fd in 0..3 {
        tries.refused(
            &format!("TIOCSTI on {fd}"),
            call(libc::SYS_ioctl, [fd, libc::TIOCSTI as i64, &raw const letter as i64]),
        );
        tries.refused(
            &format!("TIOCLINUX on {fd}"),
            call(libc::SYS_ioctl, [fd, TIOCLINUX, &raw const letter as i64]),
        );
        tries.refused(
            &format!("TIOCSCTTY on {fd}"),
            call(libc::SYS_ioctl, [fd, libc::TIOCSCTTY as i64, 1]),
        );
    }
    for path in [
        "/dev/tty",
        "/dev/console",
        "/dev/tty0",
        "/dev/tty1",
        "/dev/ttyS0",
        "/dev/hvc0",
        "/dev/vcs",
        "/dev/pts/0",
    ] {
        if let Ok(terminal) = open(path, libc::O_RDWR | libc::O_NONBLOCK | libc::O_NOCTTY) {
            let answer = call(
                libc::SYS_ioctl,
                [terminal.as_raw_fd().into(), libc::TIOCSTI as i64, &raw const letter as i64],
            );
            tries.check(&format!("{path} opens, TIOCSTI gives {answer:?}"), false);
        } else {
            tries.check(path, true);
        }
    }
    tries.verdict()
}
