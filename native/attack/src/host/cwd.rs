use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{open, read_text};
use std::fs::File;
use std::os::unix::fs::MetadataExt;

pub const ATTACK: Attack = Attack {
    name: "cwd",
    tries: "starts in a folder outside of its root, and climbs from there",
    stands_for: "CVE-2024-21626 (runc, cwd /proc/self/fd/7), CVE-2014-9357",
    must: "every way up ends at its own root",
    ..Attack::new(Class::Host, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let folder = std::env::current_dir().unwrap_or_default();
    tries.check(&format!("starts in {}", folder.display()), folder.starts_with("/"));
    let root = identity("/");
    for start in [
        ".",
        "/proc/self/cwd",
        "/proc/self/root",
        "/proc/thread-self/cwd",
        "/dev",
        "/sys",
        "/proc",
    ] {
        let climbed = format!("{start}{}", "/..".repeat(40));
        tries.check(&format!("{climbed} is no root of ours"), identity(&climbed) == root);
    }
    // Ids of mounts above the root would show here.
    let mounts = read_text("/proc/self/mountinfo");
    tries.check(
        "two mounts lie at /",
        mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/")).count() <= 1,
    );
    tries.verdict()
}

fn identity(path: &str) -> Option<(u64, u64)> {
    let folder = File::from(open(path, libc::O_RDONLY | libc::O_DIRECTORY).ok()?);
    let facts = folder.metadata().ok()?;
    Some((facts.dev(), facts.ino()))
}
