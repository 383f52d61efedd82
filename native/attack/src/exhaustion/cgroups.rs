use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, read_text, write};

pub const ATTACK: Attack = Attack {
    name: "cgroups",
    tries: "makes cgroups of its own, moves to others, raises its limits, and follows them to the host",
    stands_for: "CVE-2022-0492 (release_agent), CVE-2021-20316 class of writable cgroups",
    must: "no cgroup tree is in sight, and its own place reads as the root of one",
    ..Attack::new(Class::Exhaustion, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let mounts = read_text("/proc/self/mountinfo");
    tries.check("a cgroup tree is mounted", !mounts.contains(" - cgroup"));
    for line in read_text("/proc/self/cgroup").lines() {
        tries.check(&format!("its place is {line}"), line.ends_with(":/"));
    }
    for folder in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/unified",
        "/cgroup",
    ] {
        tries.refused(
            &format!("mkdir {folder}/own"),
            std::fs::create_dir(format!("{folder}/own")).map_err(|_| 1),
        );
        for file in [
            "cgroup.procs",
            "memory.max",
            "memory.limit_in_bytes",
            "pids.max",
            "release_agent",
            "notify_on_release",
        ] {
            tries.refused(&format!("write {folder}/{file}"), write(&format!("{folder}/{file}"), b"0"));
        }
    }
    for file in ["/proc/self/oom_score_adj", "/proc/self/oom_adj"] {
        tries.refused(&format!("lower {file}"), write(file, b"-17"));
    }
    tries.filtered("a cgroup namespace", call(libc::SYS_unshare, [libc::CLONE_NEWCGROUP.into()]));
    tries.verdict()
}
