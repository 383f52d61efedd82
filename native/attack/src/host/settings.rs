use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::open;
use std::path::Path;

pub const ATTACK: Attack = Attack {
    name: "settings",
    tries: "changes settings of the host's kernel below /proc/sys",
    stands_for: "CVE-2025-52881 (runc, writes redirected into /proc), CVE-2022-0811 (CRI-O, sysctl)",
    must: "not one file of them opens for writing",
    ..Attack::new(Class::Host, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for folder in ["/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs"] {
        try_all_below(Path::new(folder), &mut tries);
    }
    for path in [
        "/proc/sysrq-trigger",
        "/proc/mtrr",
        "/proc/self/uid_map",
        "/proc/self/gid_map",
        "/proc/self/timens_offsets",
    ] {
        tries.refused(&format!("write {path}"), crate::kernel::write(path, b"0 0 1\n"));
    }
    tries.verdict()
}

/// Opening harms nothing, and says all.
fn try_all_below(folder: &Path, tries: &mut Tries) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => try_all_below(&path, tries),
            Ok(kind) if kind.is_file() => {
                let path = path.to_string_lossy();
                tries.refused(&format!("open {path} for writing"), open(&path, libc::O_WRONLY));
            }
            _ => {}
        }
    }
}
