use crate::attack::{Attack, Class, Tries, Verdict};
use crate::hints;
use crate::kernel::{open, write};

pub const ATTACK: Attack = Attack {
    name: "paths",
    tries: "reads, writes and replaces a file of the host that everybody there may use",
    stands_for: "CVE-2024-45310, CVE-2018-15664, CVE-2025-52881 (runc, Docker: paths that lead out), CVE-2026-47243 (Kata)",
    must: "no path leads there, and the file is as it was",
    ..Attack::new(Class::Host, run)
};

fn run() -> Verdict {
    let file = hints::host_file();
    let mut tries = Tries::default();
    let ways = [
        "",
        "/..",
        "/proc/1/root",
        "/proc/self/root/../..",
        "/proc/1/cwd/../..",
        "/proc/2/root/..",
        "/proc/self/task/1/root",
        "/rootfs/..",
        "/.old_root",
        "/proc/self/fd/0/../..",
        "/dev/fd/1/..",
        "/mnt",
        "/host",
    ];
    for way in ways {
        let path = format!("{way}{file}");
        tries.refused(&format!("read {path}"), open(&path, libc::O_RDONLY));
        tries.refused(&format!("write {path}"), write(&path, b"harmed\n"));
    }
    // A link that is followed on the host, by whoever looks at what the run wrote.
    let _ = std::os::unix::fs::symlink(&file, "/tmp/out");
    let _ = std::fs::write("/tmp/out", "harmed\n");
    tries.verdict()
}
