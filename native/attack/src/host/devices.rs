use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::open;

pub const ATTACK: Attack = Attack {
    name: "devices",
    tries: "opens device files that came with its image: memory, disks, loop devices, the terminal of the host",
    stands_for: "CVE-2026-24834 (Kata, mknod on the guest's disk), CVE-2026-24054 (Kata, a host disk plugged in)",
    must: "a device file of an image is a file without a device",
    ..Attack::new(Class::Host, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for entry in std::fs::read_dir("/nodes").into_iter().flatten().flatten() {
        let path = entry.path();
        let path = path.to_string_lossy();
        tries.refused(&format!("read {path}"), open(&path, libc::O_RDONLY | libc::O_NONBLOCK));
        tries.refused(&format!("write {path}"), open(&path, libc::O_WRONLY | libc::O_NONBLOCK));
    }
    tries.verdict()
}
