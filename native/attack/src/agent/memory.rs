use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{listed_pids, open, own_pid};

pub const ATTACK: Attack = Attack {
    name: "agent-memory",
    tries: "opens memory, descriptors, root, environment and namespaces of the first process, through /proc/1",
    stands_for: "CVE-2016-9962 (runc, init's descriptors), CVE-2019-5736",
    must: "none of them opens",
    ..Attack::new(Class::Agent, run)
};

const FILES: [&str; 16] = [
    "mem",
    "maps",
    "environ",
    "exe",
    "root/",
    "cwd/",
    "fd/",
    "fdinfo/",
    "ns/pid",
    "ns/mnt",
    "ns/user",
    "stack",
    "syscall",
    "mountinfo",
    "map_files/",
    "auxv",
];

fn run() -> Verdict {
    let mut tries = Tries::default();
    for pid in listed_pids().into_iter().filter(|&pid| pid != own_pid()).chain([1]) {
        for file in FILES {
            let path = format!("/proc/{pid}/{file}");
            tries.refused(&format!("read {path}"), open(&path, libc::O_RDONLY));
        }
        for file in [
            "mem",
            "oom_score_adj",
            "comm",
            "clear_refs",
            "coredump_filter",
            "timerslack_ns",
        ] {
            let path = format!("/proc/{pid}/{file}");
            tries.refused(&format!("write {path}"), open(&path, libc::O_WRONLY));
        }
        for fd in 0..16 {
            let path = format!("/proc/{pid}/fd/{fd}");
            tries.refused(&format!("open {path}"), open(&path, libc::O_RDWR | libc::O_NONBLOCK));
        }
    }
    tries.verdict()
}
