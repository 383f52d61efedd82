//! Which hierarchies this machine has: one probe decides between v1 and v2 for everything.
use super::folder::Folder;
use super::folders;
use super::group::{Group, Nest, Single};
use super::{CPU, Cgroup, v1, v2};
use crate::mounts;
use crate::spare::Spare;
use crate::step::{At, Failure, Step};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::fs::read_to_string;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    V1,
    V2,
}

/// The controllers needed, in the order of a v1 `Cgroup`'s folders.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The roots, and `caisson-NAME` in each.
pub struct Hierarchies {
    roots: Cgroup,
    base: Cgroup,
    name: String,
    nests: Arc<Spare<Nest>>,
}

impl Hierarchies {
    pub fn open(instance: &str) -> Result<Self, Failure> {
        let roots = probe()?;
        let name = format!("caisson-{instance}");
        if roots.version == Version::V2 {
            v2::delegate(&roots)?;
        }
        let base = roots.child(|_, root| root.make(&name))?;
        if roots.version == Version::V2 {
            v2::delegate(&base)?;
        }
        Ok(Self {
            roots,
            base,
            name,
            nests: Arc::default(),
        })
    }

    pub fn version(&self) -> Version {
        self.roots.version
    }

    pub fn group(&'static self, id: &str) -> Result<Group, Failure> {
        Group::make(&self.base, id, &self.nests)
    }

    pub fn single(&'static self, id: &str) -> Result<Single, Failure> {
        Single::make(&self.base, id)
    }

    /// Rate of a sandbox's payload, of reading and of writing a block device, each. The controller is handed down to it only where a run asks
    /// for it: with it, the kernel accounts for what others write back too.
    pub fn limit_disk(&self, group: &mut Group, device: u64, bytes_per_second: u64) -> Result<(), Failure> {
        if self.version() == Version::V1 {
            return v1::limit_disk();
        }
        let file = "cgroup.subtree_control";
        self.roots.unified().write(file, "+io")?;
        self.base.unified().write(file, "+io")?;
        group.spoil();
        self.base.unified().write(&format!("{}/{file}", group.id()), "+io")?;
        v2::limit_disk(&group.payload, device, bytes_per_second)
    }

    /// Ends what a dead predecessor left: its processes, then its folders.
    pub fn sweep(&self) {
        let mut left: Vec<String> = self.base.folders.iter().flat_map(Folder::children).collect();
        left.sort_unstable();
        left.dedup();
        for id in left {
            folders::sweep(&self.base, &id);
        }
    }

    /// When the launcher ends in order.
    pub fn remove(&self) {
        for root in &self.roots.folders {
            // A folder that still dies stays, for the next launcher's sweep.
            let _ = root.remove(&self.name);
        }
    }
}

pub fn probe() -> Result<Cgroup, Failure> {
    let mounts = read_to_string("/proc/self/mountinfo").about(Step::FindCgroups, "/proc/self/mountinfo")?;
    let unified = unified(&mounts)?;
    let offered = unified.read("cgroup.controllers")?;
    if CONTROLLERS
        .iter()
        .all(|controller| offered.split_whitespace().any(|word| word == *controller))
    {
        return Ok(Cgroup {
            version: Version::V2,
            cpu_apart: false,
            folders: vec![unified],
        });
    }
    let mut paths = Vec::new();
    for controller in CONTROLLERS {
        let path = mount_point(&mounts, |kind, options| {
            kind == "cgroup" && options.split(',').any(|option| option == controller)
        });
        let missing = format_args!("{controller}, neither in the v2 tree nor of v1");
        paths.push(path.ok_or(Errno::NOENT).about(Step::FindCgroups, missing)?);
    }
    let controllers = paths.iter().map(|path| open(path));
    Ok(Cgroup {
        version: Version::V1,
        cpu_apart: !paths[..CPU].contains(&paths[CPU]),
        folders: controllers.chain([Ok(unified)]).collect::<Result<_, _>>()?,
    })
}

/// Where nobody mounted it, it is mounted here, attached nowhere. Not otherwise: a second mount would take the first one's options away.
fn unified(mounts: &str) -> Result<Folder, Failure> {
    match mount_point(mounts, |kind, _| kind == "cgroup2") {
        Some(path) => open(path),
        None => Ok(mounts::make(Step::FindCgroups, "cgroup2", &[], MountAttrFlags::empty())?.into()),
    }
}

fn open(path: &str) -> Result<Folder, Failure> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty()).about(Step::FindCgroups, path)?.into())
}

/// `36 31 0:35 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory`: of mounts of a hierarchy's root, the first.
fn mount_point(mounts: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        let what: Vec<&str> = what.split(' ').collect();
        let place: Vec<&str> = place.split(' ').collect();
        let [kind, _, options] = what[..] else { return None };
        (wanted(kind, options) && *place.get(3)? == "/").then(|| place.get(4).copied())?
    })
}

#[cfg(test)]
mod tests {
    use super::mount_point;

    fn v1_mount(controller: &str) -> Option<&'static str> {
        mount_point(MOUNTS, |kind, options| {
            kind == "cgroup" && options.split(',').any(|option| option == controller)
        })
    }

    const MOUNTS: &str = "\
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
36 31 0:35 /docker/x /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:35 / /mnt/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn finds_a_controller_among_several_of_one_hierarchy() {
        assert_eq!(v1_mount("cpu"), Some("/sys/fs/cgroup/cpu,cpuacct"));
    }

    #[test]
    fn passes_over_a_mount_of_a_subtree() {
        assert_eq!(v1_mount("memory"), Some("/mnt/memory"));
    }

    #[test]
    fn finds_the_unified_tree() {
        assert_eq!(
            mount_point(MOUNTS, |kind, _| kind == "cgroup2"),
            Some("/sys/fs/cgroup/unified")
        );
    }

    #[test]
    fn knows_when_there_is_none() {
        assert_eq!(v1_mount("pids"), None);
    }
}
