//! What a launcher could leave behind on the host.
use super::Launcher;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// As long as an idle launcher keeps them, and a little.
const SPARE_DISKS: Duration = Duration::from_millis(5_000);

#[derive(Debug)]
pub struct Traces {
    pub cgroups: Vec<PathBuf>,
    pub channels: usize,
    pub loops: usize,
    pub processes: usize,
    pub descriptors: usize,
    /// What each leads to, for who reads of one too many.
    pub open: Vec<String>,
}

impl Traces {
    pub fn of(launcher: &Launcher) -> Self {
        let channels = fs::read_dir(launcher.run_folder().join("channels")).map_or(0, Iterator::count);
        let descriptors = fs::read_dir(format!("/proc/{}/fd", launcher.pid()))
            .into_iter()
            .flatten()
            .flatten();
        let targets = descriptors.map(|entry| fs::read_link(entry.path()).unwrap_or_default());
        // A block of ids stays the launcher's once it has had so many sandboxes at a time, dying ones included, which is chance.
        let open: Vec<_> = targets
            .map(|path| path.to_string_lossy().into_owned())
            .filter(|path| !path.starts_with("/run/caisson/uids/"))
            .collect();
        Self {
            cgroups: sandboxes(&launcher.name),
            channels,
            loops: loops(launcher),
            processes: children(launcher.pid()),
            descriptors: open.len(),
            open,
        }
    }

    fn counts(&self) -> (&[PathBuf], [usize; 4]) {
        (&self.cgroups, [self.channels, self.loops, self.processes, self.descriptors])
    }

    /// Without any sandbox.
    pub fn idle(launcher: &Launcher) -> Self {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = Self::of(launcher);
            if now.processes == 0 && now.cgroups.is_empty() && now.channels == 0 {
                // Spare disks, and with them their loop devices, let go a little later.
                sleep(SPARE_DISKS);
                return Self::of(launcher);
            }
            assert!(Instant::now() < deadline, "left: {now:?}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Disposal goes on behind the answer; it must end.
    pub fn settle_to(launcher: &Launcher, wanted: &Traces) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = Self::of(launcher);
            if now.counts() == wanted.counts() {
                return;
            }
            assert!(Instant::now() < deadline, "left: {now:?}, before: {wanted:?}");
            sleep(Duration::from_millis(20));
        }
    }
}

/// The folders of its sandboxes, in every hierarchy.
pub fn sandboxes(name: &str) -> Vec<PathBuf> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .expect("cgroups")
        .flatten()
        .map(|entry| entry.path());
    let bases = hierarchies
        .chain([PathBuf::from("/sys/fs/cgroup")])
        .map(|root| root.join(format!("caisson-{name}")));
    bases.flat_map(folders).collect()
}

/// Those, and the ones in them.
pub fn cgroups(name: &str) -> Vec<PathBuf> {
    let outer = sandboxes(name);
    let inner: Vec<_> = outer.iter().flat_map(folders).collect();
    [outer, inner].concat()
}

fn folders(path: impl AsRef<Path>) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Loop devices on files of its state folder, deleted ones included.
fn loops(launcher: &Launcher) -> usize {
    let devices = fs::read_dir("/sys/block").expect("sysfs").flatten();
    let files = devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files
        .filter(|file| Path::new(file.trim()).starts_with(&launcher.state))
        .count()
}

fn children(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .map(|list| list.split_whitespace().count())
        .sum()
}

pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
