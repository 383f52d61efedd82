//! From the initramfs to the same root that the launcher gives an agent in a container.
use crate::io::{open, write_text};
use crate::kernel;
use crate::session::AgentError;
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chmod, chown, makedev, mkdir, mknodat, openat, symlink};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_move, mount_remount};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Resource, Rlimit, chdir, chroot, setrlimit, umask};

const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
const PIDS: &str = "4194304";

pub trait Boot<T> {
    fn boot(self, what: &str) -> Result<T, AgentError>;
}

impl<T> Boot<T> for Result<T, Errno> {
    fn boot(self, what: &str) -> Result<T, AgentError> {
        self.map_err(|errno| AgentError::Boot(what.to_owned(), errno))
    }
}

/// In the order of their names; a kernel that needs none comes with none.
pub fn load_modules() -> Result<(), AgentError> {
    let plain = MountFlags::NOSUID | MountFlags::NOEXEC;
    for (kind, target) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        mount(kind, target, kind, plain, None).boot(target)?;
    }
    let Ok(folder) = open("/modules", OFlags::DIRECTORY) else {
        return Ok(());
    };
    let mut modules = names_in(&folder).boot("/modules")?;
    modules.sort();
    for name in modules {
        let file = openat(&folder, &name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).boot(&name)?;
        match kernel::load_module(&file) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).boot(&name),
        }
    }
    Ok(())
}

/// Folders of the first root, which have no name any more.
pub struct Hidden {
    /// The machine's own.
    pub devices: OwnedFd,
    /// /sys/block, where it can be written to.
    pub disks: OwnedFd,
    /// /sys/fs/ext4, likewise.
    pub file_systems: OwnedFd,
}

pub fn enter_root() -> Result<Hidden, AgentError> {
    let hidden = |path: &str| open(path, OFlags::DIRECTORY).boot(path);
    let (devices, disks, file_systems) = (hidden("/dev")?, hidden("/sys/block")?, hidden("/sys/fs/ext4")?);
    umask(Mode::empty());
    mount("tmpfs", "/root", "tmpfs", MountFlags::NOSUID, c"mode=755,size=1m").boot("root")?;
    furnish().boot("furnish root")?;
    chdir("/root").boot("root")?;
    mount_move(".", "/").boot("move root")?;
    chroot(".").and_then(|()| chdir("/")).boot("enter root")?;
    umask(Mode::from_raw_mode(0o022));
    mount_in_root()?;
    lift_limits().boot("limits of the machine")?;
    loopback_up().boot("loopback")?;
    Ok(Hidden {
        devices,
        disks,
        file_systems,
    })
}

fn furnish() -> Result<(), Errno> {
    for name in ["proc", "sys", "rootfs", "disks", "dev", "dev/pts", "dev/shm"] {
        mkdir(format!("/root/{name}"), Mode::from_raw_mode(0o755))?;
    }
    for (name, major, minor) in DEVICES {
        let (path, mode) = (format!("/root/dev/{name}"), Mode::from_raw_mode(0o666));
        mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(major, minor))?;
        chmod(&path, mode)?;
        chown(&path, Some(Uid::ROOT), Some(Gid::ROOT))?;
    }
    LINKS
        .iter()
        .try_for_each(|(name, target)| symlink(*target, format!("/root/dev/{name}")))
}

fn mount_in_root() -> Result<(), AgentError> {
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", plain, None).boot("/proc")?;
    mount("sysfs", "/sys", "sysfs", plain | MountFlags::RDONLY, None).boot("/sys")?;
    let terminals = c"newinstance,ptmxmode=0666,mode=0620,gid=5,max=64";
    mount(
        "devpts",
        "/dev/pts",
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        terminals,
    )
    .boot("/dev/pts")?;
    mount(
        "tmpfs",
        "/dev/shm",
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        // It ends at limits.memory_bytes, as a container's does: half of a machine is less than that.
        c"mode=1777,size=100%",
    )
    .boot("/dev/shm")?;
    mount("tmpfs", "/disks", "tmpfs", plain, c"mode=700,size=1m").boot("/disks")?;
    // Last: what a program of a client gets of it, it must not change.
    mount_remount("/", MountFlags::NOSUID | MountFlags::RDONLY, c"").boot("make root read-only")
}

/// What the kernel sets low for a machine of this size is for the client's own limits to say.
fn lift_limits() -> Result<(), Errno> {
    for file in ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"] {
        let _ = write_text(file, PIDS);
    }
    let all = |value| Rlimit {
        current: value,
        maximum: value,
    };
    setrlimit(Resource::Nproc, all(None))?;
    setrlimit(Resource::Nofile, all(Some(1 << 20)))
}

fn loopback_up() -> Result<(), Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    kernel::interface_up(&socket, b"lo")
}

/// Entries of a folder, without the two that every folder has.
pub fn names_in(folder: impl AsFd) -> Result<Vec<String>, Errno> {
    let names = Dir::read_from(folder)?.flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| !name.starts_with('.')).collect())
}
