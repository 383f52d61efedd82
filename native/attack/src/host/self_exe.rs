use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{listed_pids, open, own_pid};

pub const ATTACK: Attack = Attack {
    name: "self-exe",
    tries: "overwrites the program that started it, through /proc/PID/exe",
    stands_for: "CVE-2019-5736 (runc)",
    must: "no executable but its own shows, and that one is busy",
    ..Attack::new(Class::Host, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for pid in listed_pids().into_iter().filter(|&pid| pid != own_pid()).chain([1]) {
        let path = format!("/proc/{pid}/exe");
        tries.refused(&format!("read {path}"), open(&path, libc::O_RDONLY));
        tries.refused(&format!("write {path}"), open(&path, libc::O_WRONLY));
    }
    tries.refused("write /proc/self/exe", open("/proc/self/exe", libc::O_WRONLY));
    tries.refused(
        "truncate /proc/self/exe",
        open("/proc/self/exe", libc::O_RDWR | libc::O_TRUNC),
    );
    tries.verdict()
}
