use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, open, read};

pub const ATTACK: Attack = Attack {
    name: "masked",
    tries: "reads and writes files of /proc that belong to the whole machine, around their masks",
    stands_for: "CVE-2025-31133 (runc, maskedPaths), CVE-2016-8867",
    must: "they read as nothing, take nothing, and the masks stay",
    ..Attack::new(Class::Host, run)
};

const SECRETS: [&str; 16] = [
    "kcore",
    "keys",
    "key-users",
    "kallsyms",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "iomem",
    "ioports",
    "modules",
    "vmallocinfo",
    "slabinfo",
    "kmsg",
    "kpageflags",
    "kpagecount",
    "sysrq-trigger",
];

fn run() -> Verdict {
    let mut tries = Tries::default();
    for name in SECRETS {
        let path = format!("/proc/{name}");
        tries.check(
            &format!("{path} can be read"),
            read(&path).map_or(true, |bytes| bytes.is_empty()),
        );
        tries.check(&format!("{path} takes what is written"), harmless(&path));
    }
    for folder in [
        "/proc/acpi",
        "/proc/scsi",
        "/proc/asound",
        "/proc/dynamic_debug",
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ] {
        let entries = std::fs::read_dir(folder).map_or(0, |entries| entries.count());
        tries.check(&format!("{folder} shows {entries} entries"), entries == 0);
    }
    // Taking a mask away, or coming at the file from the side.
    let mask = crate::kernel::text("/proc/kcore");
    tries.refused("umount /proc/kcore", call(libc::SYS_umount2, [mask.as_ptr() as i64, 2]));
    tries.refused(
        "rename /proc/kcore",
        std::fs::rename("/proc/kcore", "/tmp/kcore").map_err(|_| 1),
    );
    tries.check(
        "/proc/thread-self/../../kcore can be read",
        read("/proc/thread-self/../../kcore").map_or(true, |bytes| bytes.is_empty()),
    );
    tries.verdict()
}

/// What a mask is made of, /dev/null, may be opened and loses what is written.
fn harmless(path: &str) -> bool {
    use std::os::fd::AsRawFd;
    let Ok(opened) = open(path, libc::O_WRONLY) else { return true };
    std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd()))
        .is_ok_and(|target| target.ends_with("null") || is_null(path))
}

fn is_null(path: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|facts| facts.rdev() == libc::makedev(1, 3))
}
