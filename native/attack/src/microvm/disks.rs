use super::ONLY;
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, open, text};

pub const ATTACK: Attack = Attack {
    name: "machine-disks",
    tries: "writes to the disks of its machine, which are the layers that other runs share",
    stands_for: "CVE-2026-46695 (BoxLite), CVE-2026-24834 (Kata): read-only only as the guest says",
    must: "no disk opens, and none can be made as a device",
    backends: ONLY,
    ..Attack::new(Class::Microvm, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for letter in 'a'..='p' {
        for kind in ["sd", "vd"] {
            let path = format!("/dev/{kind}{letter}");
            tries.refused(&format!("open {path}"), open(&path, libc::O_RDWR | libc::O_NONBLOCK));
        }
    }
    for minor in 0..8 {
        let path = text(&format!("/tmp/disk-{minor}"));
        let answer = call(
            libc::SYS_mknod,
            [
                address(&path),
                i64::from(libc::S_IFBLK | 0o600),
                libc::makedev(8, 16 * minor) as i64,
            ],
        );
        tries.refused(&format!("mknod 8:{}", 16 * minor), answer);
    }
    for path in [
        "/disks",
        "/dev/sg0",
        "/dev/bsg",
        "/sys/class/scsi_device",
        "/sys/block/sda/device/rescan",
    ] {
        tries.refused(&format!("open {path}"), open(path, libc::O_RDONLY));
    }
    tries.verdict()
}
