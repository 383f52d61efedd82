use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, open, text};

pub const ATTACK: Attack = Attack {
    name: "mknod",
    tries: "makes device files of memory, disks, ports, and opens them",
    stands_for: "CVE-2026-24834 (Kata, mknod and debugfs), the classic escape with CAP_MKNOD",
    must: "no device file can be made",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let devices = [
        (libc::S_IFCHR, 1, 1),
        (libc::S_IFCHR, 1, 11),
        (libc::S_IFCHR, 4, 64),
        (libc::S_IFCHR, 5, 1),
        (libc::S_IFCHR, 10, 200),
        (libc::S_IFCHR, 10, 229),
        (libc::S_IFCHR, 10, 232),
        (libc::S_IFBLK, 7, 0),
        (libc::S_IFBLK, 8, 0),
        (libc::S_IFBLK, 253, 0),
        (libc::S_IFBLK, 254, 0),
        (libc::S_IFBLK, 259, 0),
    ];
    for folder in ["/tmp", "/dev", "/dev/shm"] {
        for (kind, major, minor) in devices {
            let path = format!("{folder}/device-{kind}-{major}-{minor}");
            let name = text(&path);
            let device = libc::makedev(major, minor) as i64;
            tries.refused(
                &format!("mknod {major}:{minor}"),
                call(libc::SYS_mknod, [address(&name), i64::from(kind | 0o600), device]),
            );
            tries.refused(&format!("open {path}"), open(&path, libc::O_RDONLY | libc::O_NONBLOCK));
        }
    }
    tries.verdict()
}
