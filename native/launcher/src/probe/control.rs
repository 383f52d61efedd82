use super::{Fact, told};
use crate::cgroup::{Cgroup, Hierarchies, Limits, Version};

/// Bits, 0 where none is on; absent from kernels without.
const GENERATIONS: &str = "/sys/kernel/mm/lru_gen/enabled";

pub fn facts() -> Vec<Fact> {
    let name = format!("probe-{}", std::process::id());
    match Hierarchies::open(&name) {
        Err(failure) => vec![Fact::needed("cgroups", Err(told(&failure)))],
        Ok(hierarchies) => tried(Box::leak(Box::new(hierarchies))),
    }
}

fn tried(hierarchies: &'static Hierarchies) -> Vec<Fact> {
    let facts = match hierarchies.single("try") {
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
            Fact::useful(
                "page reclaim",
                reclaim(hierarchies.version(), std::fs::read_to_string(GENERATIONS).ok()),
            ),
            Fact::useful(
                "pressure",
                group
                    .payload
                    .pressure()
                    .map(|_| "told with every run".into())
                    .ok_or_else(|| "the kernel keeps none (CONFIG_PSI, psi=1): no run's evidence has it".into()),
            ),
            Fact::useful("no swap", swap(&group.payload)),
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

/// Seen on v2 with Linux 6.12: nobody is woken to write a cgroup's dirty pages, and reclaim gives up.
fn reclaim(version: Version, generations: Option<String>) -> Result<String, String> {
    let on = generations.is_some_and(|bits| bits.trim() != "0x0000");
    if on && version == Version::V2 {
        return Err(
            "generational (MGLRU): under small memory limits, several fast writers of files at once may end as OOM_KILLED".into(),
        );
    }
    Ok("programs that write files wait for the disk".into())
}

/// Far above what the few bytes here need.
const TRIED: Limits = Limits {
    cpu_millis: None,
    memory_bytes: 64 << 20,
    pids: 16,
};

fn swap(payload: &Cgroup) -> Result<String, String> {
    let written = payload.limit(&TRIED).map_err(|failure| told(&failure))?;
    let devices = std::fs::read_to_string("/proc/swaps").map_or(0, |text| text.lines().skip(1).count());
    match (written.swap_bytes, devices) {
        (Some(_), _) => Ok("a run's memory is never swapped".into()),
        (None, 0) => Ok("this machine has none".into()),
        (None, devices) => Err(format!(
            "the kernel limits none (swapaccount=1 makes it): memory of runs may go to {devices} swap devices, beyond limits.memory_bytes"
        )),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warns_of_generations_on_v2_alone() {
        let bits = |text: &str| Some(format!("{text}\n"));
        assert!(reclaim(Version::V2, bits("0x0007")).is_err());
        assert!(reclaim(Version::V2, bits("0x0000")).is_ok());
        assert!(reclaim(Version::V2, None).is_ok());
        assert!(reclaim(Version::V1, bits("0x0007")).is_ok());
    }
}
