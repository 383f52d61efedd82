use crate::attack::{Attack, Class, Image, Tries, Verdict};
use crate::kernel::{read, text, write};

pub const ATTACK: Attack = Attack {
    name: "traps",
    tries: "comes in an image whose /proc, /sys, /dev, /tmp and /etc/hosts are links to elsewhere, so that masks and files are made there",
    stands_for: "CVE-2025-31133, CVE-2025-52565, CVE-2021-30465, CVE-2019-19921 (runc: links in the image where it mounts)",
    must: "/proc, /sys and /dev are real, masked, and nothing was made through a link",
    image: Image::Traps,
    ..Attack::new(Class::Host, run)
};

const PROC: i64 = 0x9fa0;

fn run() -> Verdict {
    let mut tries = Tries::default();
    tries.check("/proc is no procfs", file_system("/proc") == PROC);
    for path in ["/proc", "/sys", "/dev"] {
        tries.check(
            &format!("{path} is a link"),
            std::fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir()),
        );
    }
    for path in ["/proc/kcore", "/proc/keys", "/proc/kallsyms"] {
        tries.check(
            &format!("{path} can be read"),
            read(path).map_or(true, |bytes| bytes.is_empty()),
        );
    }
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
    ] {
        tries.refused(&format!("write {path}"), write(path, b"h"));
    }
    let made = std::fs::read_dir("/elsewhere").map_or(0, |entries| entries.count());
    tries.check(
        &format!("{made} things were made in the folder that the links lead to"),
        made == 0,
    );
    tries.verdict()
}

fn file_system(path: &str) -> i64 {
    let path = text(path);
    // SAFETY: an all-zero statfs is valid, and the kernel fills it.
    unsafe {
        let mut facts: libc::statfs = std::mem::zeroed();
        libc::statfs(path.as_ptr(), &raw mut facts);
        facts.f_type
    }
}
