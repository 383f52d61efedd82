//! Which files a service may name at all, whatever its user might: Landlock, where the kernel has it (since 5.13; what each version added
//! holds from that version on). Of the network: whether it may listen or connect by TCP (6.7). Signals and abstract sockets end at the
//! fence (6.12), so that not even a process of the same user outside of it can be touched.
use crate::args::Enter;
use crate::step::{Failure, Step};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// What is handled: newer rights would deny what was never tried.
const VERSION: ABI = ABI::V6;

/// Libraries, settings, devices and what the kernel tells. Where one of them is missing nothing is lost.
const SYSTEM: [&str; 7] = ["/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/run/systemd/resolve"];
/// Which the kernel executes for a program that is not static.
const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"];
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

pub struct Fence(RulesetCreated);

impl Fence {
    /// Called as root, for a service may be unable to reach the folder that its own lies in.
    pub fn around(command: &Enter, program: &Path) -> Result<Self, Failure> {
        let mut rules = ruleset(command).map_err(|error| failure("", &error))?;
        for (paths, access) in allowed(command, program) {
            for path in paths {
                rules = allow(rules, &path, access).map_err(|error| failure(path.display(), &error))?;
            }
        }
        Ok(Self(rules))
    }

    /// Holds for this process and all it becomes. Nothing where the kernel has no Landlock: `probe` tells.
    pub fn close(self) -> Result<(), Failure> {
        self.0.restrict_self().map(drop).map_err(|error| failure("", &error))
    }
}

fn allowed(command: &Enter, program: &Path) -> [(Vec<PathBuf>, BitFlags<AccessFs>); 8] {
    let special = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeFifo;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    [
        (existing(&SYSTEM), read),
        (existing(&LOADERS), AccessFs::Execute.into()),
        (existing(&DEVICES), AccessFs::ReadFile | AccessFs::WriteFile),
        (vec![program.to_path_buf()], AccessFs::Execute | AccessFs::ReadFile),
        (vec![command.at.clone()], read),
        (command.reads.clone(), read),
        (command.executes.clone(), read | AccessFs::Execute),
        (command.writes.clone(), AccessFs::from_all(VERSION) & !special),
    ]
}

fn ruleset(command: &Enter) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?;
    for (may, access) in [
        (command.listens, AccessNet::BindTcp),
        (command.connects, AccessNet::ConnectTcp),
    ] {
        if !may {
            rules = rules.handle_access(access)?;
        }
    }
    rules.create()
}

fn allow(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, Box<dyn Error>> {
    Ok(rules.add_rule(PathBeneath::new(PathFd::new(path)?, access))?)
}

fn existing(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).filter(|path| path.exists()).collect()
}

fn failure(subject: impl Display, error: &impl Display) -> Failure {
    Failure {
        step: Step::Landlock,
        subject: format!("{subject} {error}"),
        errno: libc::EINVAL,
    }
}
