//! Which hierarchies this machine has: one probe decides between v1 and v2 for everything.
use super::folder::Folder;
use super::group::Group;
use super::{Cgroup, v2};
use crate::step::{At, Failure, Step};
use rustix::fs::CWD;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::read_to_string;

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
}

impl Hierarchies {
    pub fn open(instance: &str) -> Result<Self, Failure> {
        let roots = probe()?;
        let name = format!("caisson-{instance}");
        if roots.version == Version::V2 {
            v2::delegate(&roots)?;
        }
        let base = roots.child(&name)?;
        if roots.version == Version::V2 {
            v2::delegate(&base)?;
        }
        Ok(Self { roots, base, name })
    }

    pub fn version(&self) -> Version {
        self.roots.version
    }

    pub fn group(&'static self, id: &str) -> Result<Group, Failure> {
        Group::make(&self.base, id)
    }

    /// Ends what a dead predecessor left: its processes, then its folders.
    pub fn sweep(&self) {
        let mut left: Vec<String> = self.base.folders.iter().flat_map(Folder::children).collect();
        left.sort_unstable();
        left.dedup();
        for id in left {
            super::group::dispose(&self.base, &id);
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
    let unified = unified()?;
    let offered = unified.read("cgroup.controllers")?;
    if CONTROLLERS
        .iter()
        .all(|controller| offered.split_whitespace().any(|word| word == *controller))
    {
        return Ok(Cgroup {
            version: Version::V2,
            folders: vec![unified],
        });
    }
    let mounts = read_to_string("/proc/self/mountinfo").about(Step::FindCgroups, "/proc/self/mountinfo")?;
    let mut folders = Vec::new();
    for controller in CONTROLLERS {
        let path = v1_mount(&mounts, controller)
            .ok_or(Errno::NOENT)
            .about(Step::FindCgroups, controller)?;
        folders.push(
            openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .about(Step::FindCgroups, path)?
                .into(),
        );
    }
    folders.push(unified);
    Ok(Cgroup {
        version: Version::V1,
        folders,
    })
}

/// Not looked for but mounted, unattached: it need not be mounted anywhere, and a mount of it is the same tree.
fn unified() -> Result<Folder, Failure> {
    let step = || "cgroup2";
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC).about(Step::FindCgroups, step())?;
    fsconfig_create(&context).about(Step::FindCgroups, step())?;
    let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).about(Step::FindCgroups, step())?;
    Ok(root.into())
}

/// `36 31 0:35 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory`: of mounts of the root, the first.
fn v1_mount<'a>(mounts: &'a str, controller: &str) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let is_v1 = kind.next()? == "cgroup" && kind.nth(1)?.split(',').any(|option| option == controller);
        let mut mount = mount.split(' ').skip(3);
        (is_v1 && mount.next()? == "/").then(|| mount.next())?
    })
}

#[cfg(test)]
mod tests {
    use super::v1_mount;

    const MOUNTS: &str = "\
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
36 31 0:35 /docker/x /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:35 / /mnt/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn finds_a_controller_among_several_of_one_hierarchy() {
        assert_eq!(v1_mount(MOUNTS, "cpu"), Some("/sys/fs/cgroup/cpu,cpuacct"));
    }

    #[test]
    fn passes_over_a_mount_of_a_subtree() {
        assert_eq!(v1_mount(MOUNTS, "memory"), Some("/mnt/memory"));
    }

    #[test]
    fn knows_when_there_is_none() {
        assert_eq!(v1_mount(MOUNTS, "pids"), None);
    }
}
