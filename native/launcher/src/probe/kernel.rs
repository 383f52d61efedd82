use super::{Fact, OLDEST_KERNEL};
use crate::clone;
use crate::labels;
use crate::step::Errno;
use crate::sys;
use rustix::process::{Resource, WaitId, WaitIdOptions, geteuid, getrlimit, waitid};
use rustix::system::uname;
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities};
use std::os::fd::AsFd;
use std::path::Path;

const NAMESPACES: [(&str, UnshareFlags); 8] = [
    ("user namespace", UnshareFlags::NEWUSER),
    ("mount namespace", UnshareFlags::NEWNS),
    ("pid namespace", UnshareFlags::NEWPID),
    ("network namespace", UnshareFlags::NEWNET),
    ("ipc namespace", UnshareFlags::NEWIPC),
    ("uts namespace", UnshareFlags::NEWUTS),
    ("time namespace", UnshareFlags::NEWTIME),
    ("cgroup namespace", UnshareFlags::NEWCGROUP),
];

pub fn release() -> String {
    uname().release().to_string_lossy().into_owned()
}

pub fn facts(release: &str) -> Vec<Fact> {
    let mut facts = vec![Fact::needed("kernel version", recent(release)), Fact::needed("root", root())];
    facts.extend(NAMESPACES.map(|(name, flag)| Fact::needed(name, namespace(flag))));
    facts.push(Fact::needed("seccomp", seccomp()));
    facts.push(Fact::useful("Landlock", landlock()));
    facts.push(Fact::useful("AppArmor, SELinux", labels()));
    facts.push(Fact::useful("CAP_SYS_RESOURCE", raising_limits()));
    facts
}

fn recent(release: &str) -> Result<String, String> {
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map_while(|word| word.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let oldest = format!("{}.{}", OLDEST_KERNEL.0, OLDEST_KERNEL.1);
    if version >= OLDEST_KERNEL {
        Ok(format!("{oldest} or newer"))
    } else {
        Err(format!("older than {oldest}"))
    }
}

fn root() -> Result<String, String> {
    if geteuid().is_root() {
        Ok("the launcher runs as root".into())
    } else {
        Err("not root: most of what follows cannot be tried".into())
    }
}

/// In a child, so that this process stays where it is.
fn namespace(flag: UnshareFlags) -> Result<String, String> {
    // SAFETY: this process has one thread, and the child only makes a system call and exits.
    let child = unsafe { clone::fork() }.map_err(|errno| Errno::from(errno).to_string())?;
    match child {
        None => {
            let errno = sys::unshare(flag).err().map_or(0, rustix::io::Errno::raw_os_error);
            // SAFETY: ends the child, with nothing of the parent's to run at exit.
            unsafe { libc::_exit(errno) }
        }
        Some(child) => {
            let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED)
                .map_err(|errno| Errno::from(errno).to_string())?;
            match status.and_then(|status| status.exit_status()) {
                Some(0) => Ok("yes".into()),
                errno => Err(format!("unshare: {}", Errno::from_number(errno.unwrap_or(libc::ECHILD)))),
            }
        }
    }
}

fn seccomp() -> Result<String, String> {
    if sys::seccomp_can_refuse() {
        Ok("filters that refuse calls".into())
    } else {
        Err("the kernel has no seccomp filters".into())
    }
}

fn landlock() -> Result<String, String> {
    match sys::landlock_version() {
        Ok(version) => Ok(format!(
            "version {version}: services, helpers and VMMs name no files but their own"
        )),
        Err(errno) => Err(format!(
            "{}: services, helpers and VMMs are held by users, roots and filters alone",
            Errno::from(errno)
        )),
    }
}

fn labels() -> Result<String, String> {
    if labels::is_on() {
        return match labels::hindrance() {
            None => Ok("AppArmor: containers, converter and lister are held to profiles of Caisson's".into()),
            Some(why) => Err(format!(
                "AppArmor: {why}: sandboxes have no profile; no wall here rests on it"
            )),
        };
    }
    if Path::new("/sys/fs/selinux/enforce").exists() {
        return Err("SELinux: Caisson sets no context, and runs under the machine's own; no wall here rests on it".into());
    }
    Err("this machine has neither; no wall here rests on them".into())
}

fn raising_limits() -> Result<String, String> {
    let has = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    if has {
        return Ok("limits can be raised".into());
    }
    let files = getrlimit(Resource::Nofile)
        .maximum
        .map_or("unlimited".into(), |limit| limit.to_string());
    Err(format!("hard limits cannot be raised: a run gets at most {files} open files"))
}
