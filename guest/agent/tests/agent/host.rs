//! What the launcher does for an agent, in small.
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

const FIRST_UID: u32 = 1_700_000_000;

/// Holds a user namespace with 65,536 ids until it is killed.
pub fn make_user_namespace() -> Child {
    let child = Command::new("unshare").args(["--user", "sleep", "infinity"]).spawn().unwrap();
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    let its = format!("/proc/{}/ns/user", child.id());
    while fs::read_link(&its).unwrap() == own {
        std::thread::sleep(Duration::from_millis(1));
    }
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{}/{map}", child.id()), format!("0 {FIRST_UID} 65536")).unwrap();
    }
    child
}

/// Descriptors from number 3 on.
pub fn give(command: &mut Command, given: Vec<OwnedFd>) {
    // Out of the way of the numbers that they are to have.
    let high: Vec<OwnedFd> = given
        .iter()
        .map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 100).unwrap())
        .collect();
    let place = move || {
        for (index, descriptor) in high.iter().enumerate() {
            // SAFETY: takes numbers only, and the target numbers are nobody's after a fork.
            if unsafe { libc::dup2(descriptor.as_raw_fd(), 3 + index as RawFd) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec only dup2 is called.
    unsafe { command.pre_exec(place) };
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

pub fn make_cgroup(unique: &Path, pids: u32) -> PathBuf {
    let hierarchy = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.exists())
        .unwrap();
    let cgroup = hierarchy.join(unique.file_name().unwrap());
    fs::create_dir(&cgroup).unwrap();
    fs::write(cgroup.join("pids.max"), pids.to_string()).unwrap();
    cgroup
}
