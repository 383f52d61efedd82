//! Which files a process may name at all, whatever its user and its root would let it: Landlock, where the kernel has it (since 5.13; what
//! each version added holds from that version on). Of the network: whether it may listen or connect by TCP (6.7). Signals and abstract
//! sockets end at the fence (6.12), so that not even a process of the same user outside of it can be touched.
use crate::args::Enter;
use crate::roots::KVM;
use crate::step::{Failure, Step};
use crate::sys;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use std::error::Error;
use std::fmt::Display;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is handled: newer rights would deny what was never tried.
const VERSION: ABI = ABI::V6;

/// Libraries, settings, devices and what the kernel tells.
const SYSTEM: [&str; 7] = ["/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/run/systemd/resolve"];
/// Which the kernel executes for a program that is not static.
const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"];
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Made once, and closed by any number of processes. Nothing where the kernel has no Landlock: `probe` tells.
pub struct Fence(Option<OwnedFd>);

struct Tcp {
    listens: bool,
    connects: bool,
}

type Files = (Vec<PathBuf>, BitFlags<AccessFs>);

impl Fence {
    /// Called as root, for a service may be unable to reach the folder that its own lies in.
    pub fn of_service(command: &Enter, program: &Path) -> Result<Self, Failure> {
        let special = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeFifo;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let files = [
            (existing(SYSTEM), read),
            (existing(LOADERS), AccessFs::Execute.into()),
            (existing(DEVICES), AccessFs::ReadFile | AccessFs::WriteFile),
            (vec![program.to_path_buf()], AccessFs::Execute | AccessFs::ReadFile),
            (vec![command.at.clone()], read),
            (command.reads.clone(), read),
            (command.executes.clone(), read | AccessFs::Execute),
            (command.writes.clone(), AccessFs::from_all(VERSION) & !special),
        ];
        Self::around(
            &files,
            &Tcp {
                listens: command.listens,
                connects: command.connects,
            },
        )
    }

    /// Of converter and lister. A rule for /lower would not hold for what is mounted there, one for the folder above does.
    pub fn of_helper(root: &Path) -> Result<Self, Failure> {
        Self::without_network(&[
            below(root, &["."], AccessFs::ReadFile | AccessFs::ReadDir),
            below(root, &["dev/null"], AccessFs::ReadFile | AccessFs::WriteFile),
        ])
    }

    /// Of what it opens by /proc/self/fd the guest's kernel alone lies in a folder; sealed files are beyond any fence.
    pub fn of_vmm(root: &Path, kernel: &Path) -> Result<Self, Failure> {
        let device = AccessFs::ReadFile | AccessFs::WriteFile;
        Self::without_network(&[
            below(root, &["usr"], AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute),
            (existing([kernel]), AccessFs::ReadFile.into()),
            below(root, &["dev/null", "dev/urandom"], device),
            below(root, &[&KVM[1..]], device | AccessFs::IoctlDev),
        ])
    }

    fn without_network(files: &[Files]) -> Result<Self, Failure> {
        let nothing = Tcp {
            listens: false,
            connects: false,
        };
        Self::around(files, &nothing)
    }

    fn around(files: &[Files], tcp: &Tcp) -> Result<Self, Failure> {
        let mut rules = ruleset(tcp).map_err(|error| failure("", &error))?;
        for (paths, access) in files {
            for path in paths {
                rules = allow(rules, path, *access).map_err(|error| failure(path.display(), &error))?;
            }
        }
        Ok(Self(rules.into()))
    }

    /// Holds for this process and all it becomes. Allocates nothing: a child calls it between clone and exec.
    pub fn close(&self) -> rustix::io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |rules| sys::landlock_restrict(rules.as_fd()))
    }

    pub fn rules(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}

fn ruleset(tcp: &Tcp) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?;
    for (may, access) in [(tcp.listens, AccessNet::BindTcp), (tcp.connects, AccessNet::ConnectTcp)] {
        if !may {
            rules = rules.handle_access(access)?;
        }
    }
    rules.create()
}

fn allow(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, Box<dyn Error>> {
    Ok(rules.add_rule(PathBeneath::new(PathFd::new(path)?, access))?)
}

/// Where one of them is missing nothing is lost.
fn existing(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Vec<PathBuf> {
    paths.into_iter().map(Into::into).filter(|path| path.exists()).collect()
}

fn below(root: &Path, names: &[&str], access: BitFlags<AccessFs>) -> Files {
    (existing(names.iter().map(|name| root.join(name))), access)
}

fn failure(subject: impl Display, error: &impl Display) -> Failure {
    Failure {
        step: Step::Landlock,
        subject: format!("{subject} {error}"),
        errno: libc::EINVAL,
    }
}

#[cfg(test)]
#[path = "fence_test.rs"]
mod tests;
