use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{listed_pids, own_pid, read};

pub const ATTACK: Attack = Attack {
    name: "environment",
    tries: "reads the environment that worker and launcher were started with: tokens, proxies, passwords",
    stands_for: "CVE-2021-20182 class; credentials of a CI worker in the environment of its jobs",
    must: "its own has what the client sent, PATH and HOME; no other opens",
    ..Attack::new(Class::Information, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for (name, _) in std::env::vars() {
        let known = name == "PATH" || name == "HOME" || name.starts_with("ATTACK_");
        tries.check(&format!("{name} is set"), known);
    }
    for pid in listed_pids().into_iter().filter(|&pid| pid != own_pid()).chain([1]) {
        tries.refused(&format!("environment of {pid}"), read(&format!("/proc/{pid}/environ")));
        tries.refused(&format!("arguments of {pid}"), read(&format!("/proc/{pid}/cmdline")));
    }
    tries.verdict()
}
