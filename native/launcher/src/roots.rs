//! What every sandbox and every helper has as its root: one small read-only tmpfs for all, for nothing in it depends on the sandbox.
//! Device nodes are made here, by root, for a user namespace cannot make any.
use crate::fence::Fence;
use crate::labels::Labels;
use crate::mounts::{self, Option as Set};
use crate::step::{At, Failure, Step};
use crate::sys;
use rustix::fs::{CWD, FileType, Mode, chmod, makedev, mknodat};
use rustix::mount::{MountAttrFlags, MountFlags, mount_bind, mount_remount};
use std::ffi::{CStr, CString};
use std::fs::create_dir_all;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

pub struct Roots {
    pub sandbox: Root,
    /// Of converter and lister.
    pub helper: Root,
    /// Of use only where there is a guest.
    pub vmm: Root,
}

pub struct Root {
    pub path: CString,
    /// An agent has none: whoever is behind one cannot mount.
    pub fence: Option<Fence>,
    /// Of AppArmor, as it is asked for.
    pub label: Option<&'static CStr>,
}

const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];
pub const KVM: &str = "/dev/kvm";
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

impl Roots {
    pub fn furnish(at: &Path, guest: &Path, labels: Labels) -> Result<Self, Failure> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
        let tmpfs = mounts::make(
            Step::MakeRoots,
            "tmpfs",
            &[Set::Text("mode", "0755"), Set::Text("size", "1m")],
            attributes,
        )?;
        mounts::attach(&tmpfs, at)?;
        let (sandbox, helper, vmm) = (at.join("sandbox"), at.join("helper"), at.join("vmm"));
        furnish_sandbox(&sandbox)?;
        furnish_helper(&helper)?;
        furnish_vmm(&vmm, &guest.join("vmm/usr"))?;
        sys::mount_setattr(&tmpfs, 0, sys::MOUNT_ATTR_RDONLY).at(Step::MakeRoots)?;
        Ok(Self {
            sandbox: Root::at(&sandbox, None, labels.agent)?,
            helper: Root::at(&helper, Some(Fence::of_helper(&helper)?), labels.helper)?,
            vmm: Root::at(&vmm, Some(Fence::of_vmm(&vmm, &guest.join("kernel"))?), None)?,
        })
    }
}

impl Root {
    fn at(path: &Path, fence: Option<Fence>, label: Option<&'static CStr>) -> Result<Self, Failure> {
        Ok(Self {
            path: c_path(path)?,
            fence,
            label,
        })
    }
}

fn furnish_sandbox(root: &Path) -> Result<(), Failure> {
    folders(root, &["proc", "sys", "rootfs", "dev/pts", "dev/shm"])?;
    for (name, major, minor) in DEVICES {
        device(&root.join("dev").join(name), major, minor)?;
    }
    LINKS
        .iter()
        .try_for_each(|(name, target)| link(target, &root.join("dev").join(name)))
}

/// It executes nothing, and names no file but what is below /lower.
fn furnish_helper(root: &Path) -> Result<(), Failure> {
    folders(root, &["lower", "dev"])?;
    device(&root.join("dev/null"), 1, 3)
}

/// Its own program, libraries and firmware, and none of the machine's other files. /proc is for the descriptors that it opens by path.
fn furnish_vmm(root: &Path, programs: &Path) -> Result<(), Failure> {
    folders(root, &["proc", "dev", "usr"])?;
    device(&root.join("dev/null"), 1, 3)?;
    device(&root.join("dev/urandom"), 1, 9)?;
    if Path::new(KVM).exists() {
        device(&root.join("dev/kvm"), 10, 232)?;
    }
    for name in ["lib", "lib64"] {
        link(&format!("usr/{name}"), &root.join(name))?;
    }
    if !programs.exists() {
        return Ok(());
    }
    let usr = root.join("usr");
    mount_bind(programs, &usr).about(Step::MakeRoots, programs.display())?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(&usr, flags, c"").about(Step::MakeRoots, usr.display())
}

fn folders(root: &Path, names: &[&str]) -> Result<(), Failure> {
    names
        .iter()
        .try_for_each(|name| create_dir_all(root.join(name)).about(Step::MakeRoots, name))
}

fn device(path: &Path, major: u32, minor: u32) -> Result<(), Failure> {
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(major, minor)).about(Step::MakeRoots, path.display())?;
    // The umask had its say.
    chmod(path, mode).about(Step::MakeRoots, path.display())
}

fn link(target: &str, path: &Path) -> Result<(), Failure> {
    symlink(target, path).about(Step::MakeRoots, path.display())
}

fn c_path(path: &Path) -> Result<CString, Failure> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| rustix::io::Errno::INVAL)
        .about(Step::MakeRoots, path.display())
}
