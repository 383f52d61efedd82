use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, open, text, write};
use std::path::{Path, PathBuf};

pub const ATTACK: Attack = Attack {
    name: "sysfs",
    tries: "writes below /sys: helpers of the kernel, drivers, cgroups",
    stands_for: "CVE-2022-0492 (release_agent), uevent_helper escapes",
    must: "not one file of it opens for writing, and no folder can be made",
    ..Attack::new(Class::Host, run)
};

/// As many as a walk within the run's time can try.
const MOST: usize = 20_000;

fn run() -> Verdict {
    let mut tries = Tries::default();
    let mut folders = vec![PathBuf::from("/sys")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            seen += 1;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && seen < MOST => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => try_file(&entry.path(), &mut tries),
                _ => {}
            }
        }
    }
    for path in [
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/release_agent",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/power/state",
    ] {
        tries.refused(&format!("write {path}"), write(path, b"/tmp/x"));
    }
    // Where the program has the uid of who made it, its mode says nothing.
    let root = text("/sys");
    tries.refused("chmod 777 /sys", call(libc::SYS_chmod, [address(&root), 0o777]));
    tries.refused("mkdir /sys/x", std::fs::create_dir("/sys/x").map_err(|_| 1));
    tries.refused(
        "mkdir /sys/fs/cgroup/x",
        std::fs::create_dir("/sys/fs/cgroup/x").map_err(|_| 1),
    );
    tries.verdict()
}

fn try_file(path: &Path, tries: &mut Tries) {
    let path = path.to_string_lossy();
    tries.refused(&format!("open {path} for writing"), open(&path, libc::O_WRONLY));
}
