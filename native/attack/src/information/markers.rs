use crate::attack::{Attack, Class, Tries, Verdict};
use crate::hints;
use crate::kernel::{listed_pids, read};
use std::path::PathBuf;

pub const ATTACK: Attack = Attack {
    name: "markers",
    tries: "searches everything that it can read in /proc, /sys, /dev and its own root for names, folders and arguments of the host",
    stands_for: "sandboxes that show whose they are, where they lie, and who their neighbours are",
    must: "none of them is found",
    ..Attack::new(Class::Information, run)
};

const MOST: usize = 30_000;

fn run() -> Verdict {
    let mut tries = Tries::default();
    let markers = hints::markers();
    let processes = listed_pids().into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}")));
    let mut folders: Vec<PathBuf> = ["/proc", "/sys", "/dev", "/etc"]
        .iter()
        .map(PathBuf::from)
        .chain(processes)
        .collect();
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            seen += 1;
            let name = path.to_string_lossy().into_owned();
            let target = std::fs::read_link(&path).map_or(String::new(), |target| target.to_string_lossy().into_owned());
            let kind = entry.file_type().ok();
            // Its own task folders hold the same again.
            if kind.is_some_and(|kind| kind.is_dir()) && seen < MOST && !name.contains("/task/") {
                folders.push(path);
                continue;
            }
            let content = if kind.is_some_and(|kind| kind.is_file()) {
                read(&name).unwrap_or_default()
            } else {
                Vec::new()
            };
            for marker in markers
                .iter()
                .filter(|marker| holds(&[name.as_bytes(), target.as_bytes(), &content], marker))
            {
                tries.check(&format!("{name} tells of {}", backwards(marker)), false);
            }
        }
    }
    tries.check("no file could be looked at", seen > 20 && !markers.is_empty());
    tries.verdict()
}

fn holds(texts: &[&[u8]], marker: &str) -> bool {
    texts
        .iter()
        .any(|text| text.windows(marker.len()).any(|window| window == marker.as_bytes()))
}

/// What this program writes must not be what another one finds.
fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}
