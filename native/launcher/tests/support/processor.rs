//! Who used the processors, in microseconds since the machine began.
use super::Launcher;
use std::fs::{read_dir, read_to_string};
use std::ops::Sub;

const TICK_US: u64 = 10_000;
/// Flag of a process that is the kernel's own.
const PF_KTHREAD: u64 = 0x0020_0000;

#[derive(Clone, Copy)]
pub struct Used {
    pub launcher_us: u64,
    /// Those it waited for: agents, and whom they waited for.
    pub children_us: u64,
    pub kernel_us: u64,
    /// Of all, whoever they are.
    pub machine_us: u64,
}

impl Used {
    pub fn so_far(launcher: &Launcher) -> Self {
        let own = Stat::of(&launcher.pid().to_string()).expect("the launcher lives");
        Self {
            launcher_us: own.own_us,
            children_us: own.children_us,
            kernel_us: kernel_threads(),
            machine_us: machine(),
        }
    }
}

impl Sub for Used {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            launcher_us: self.launcher_us - before.launcher_us,
            children_us: self.children_us - before.children_us,
            // Such a thread may have ended meanwhile.
            kernel_us: self.kernel_us.saturating_sub(before.kernel_us),
            machine_us: self.machine_us - before.machine_us,
        }
    }
}

struct Stat {
    flags: u64,
    own_us: u64,
    children_us: u64,
}

impl Stat {
    fn of(pid: &str) -> Option<Self> {
        let text = read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<u64> = text
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        let time = |field: usize| (fields[field] + fields[field + 1]) * TICK_US;
        Some(Self {
            flags: fields[6],
            own_us: time(11),
            children_us: time(13),
        })
    }
}

fn kernel_threads() -> u64 {
    let processes = read_dir("/proc").expect("proc").flatten();
    let stats = processes.filter_map(|entry| Stat::of(entry.file_name().to_str()?));
    stats
        .filter(|stat| stat.flags & PF_KTHREAD != 0)
        .map(|stat| stat.own_us)
        .sum()
}

/// All but the idle and what waits for disks.
fn machine() -> u64 {
    let text = read_to_string("/proc/stat").expect("proc");
    let line = text.lines().next().expect("a line");
    let times: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|time| time.parse().expect("number"))
        .collect();
    [0, 1, 2, 5, 6].map(|index: usize| times[index]).iter().sum::<u64>() * TICK_US
}
