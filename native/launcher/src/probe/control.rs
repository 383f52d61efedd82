use super::{Fact, told};
use crate::cgroup::{Hierarchies, Version};

pub fn facts() -> Vec<Fact> {
    let name = format!("probe-{}", std::process::id());
    match Hierarchies::open(&name) {
        Err(failure) => vec![Fact::needed("cgroups", Err(told(&failure)))],
        Ok(hierarchies) => tried(Box::leak(Box::new(hierarchies))),
    }
}

fn tried(hierarchies: &'static Hierarchies) -> Vec<Fact> {
    let facts = match hierarchies.group("try") {
        Err(failure) => vec![Fact::needed("cgroups", Err(told(&failure)))],
        Ok(group) => vec![
            Fact::needed("cgroups", Ok(layout(hierarchies.version()).into())),
            Fact::needed(
                "cgroup.kill",
                group
                    .payload
                    .kill()
                    .map(|()| "kills whole sandboxes".into())
                    .map_err(|failure| told(&failure)),
            ),
            Fact::needed(
                "memory events",
                group
                    .payload
                    .oom_event()
                    .map(|_| "out of memory is told at once".into())
                    .map_err(|failure| told(&failure)),
            ),
            Fact::useful("usage counters", counters(&group.payload.counters())),
        ],
    };
    hierarchies.remove();
    facts
}

fn layout(version: Version) -> &'static str {
    match version {
        Version::V1 => "v1 for memory, pids and cpu; the v2 tree to kill and to count cpu time",
        Version::V2 => "v2",
    }
}

fn counters(counters: &crate::cgroup::Counters) -> Result<String, String> {
    let all = [
        ("memory peak", counters.memory_peak_bytes),
        ("pids peak", counters.pids_peak),
        ("kills for memory", counters.oom_kills),
        ("denied forks", counters.pids_denied),
    ];
    let missing: Vec<&str> = all
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        Ok("all of them".into())
    } else {
        Err(format!("the kernel does not count: {}", missing.join(", ")))
    }
}
