//! Agent, converter and lister, executed from sealed memory: their roots hold no program, and nobody can change one that others run too.
use crate::digest::{self, Digest};
use crate::sealed::sealed;
use crate::step::{At, Failure, Step};
use rustix::fs::MemfdFlags;
use std::fs::read;
use std::os::fd::OwnedFd;
use std::path::Path;

pub struct Program {
    pub file: OwnedFd,
    pub digest: Digest,
}

impl Program {
    pub fn load(name: &str, path: &Path) -> Result<Self, Failure> {
        let bytes = read(path).about(Step::LoadProgram, path.display())?;
        let file = sealed(name, &bytes, MemfdFlags::EXEC, Step::LoadProgram)?;
        Ok(Self {
            digest: digest::of(&bytes),
            file,
        })
    }
}
