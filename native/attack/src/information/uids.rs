use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::read_text;

pub const ATTACK: Attack = Attack {
    name: "uids",
    tries: "is the same user of the host as its neighbour, or as somebody there",
    stands_for: "CVE-2021-21284 (Docker userns-remap), limits and files that all sandboxes of one uid share",
    must: "its ids are a range of its own, which no neighbour has",
    ends: &["CANCELLED"],
    holds: true,
    backends: &["container"],
    ..Attack::new(Class::Information, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for file in ["/proc/self/uid_map", "/proc/self/gid_map"] {
        let map = read_text(file);
        let words: Vec<u64> = map.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        tries.check(
            &format!("{file} is {}", map.trim()),
            matches!(words[..], [0, first, 65_536] if first >= 65_536),
        );
    }
    crate::say(&format!("fact: {}", fact()));
    tries.verdict()
}

/// What no two sandboxes have in common.
pub fn fact() -> String {
    read_text("/proc/self/uid_map")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
