//! Agent and converter, executed from sealed memory: their roots hold no program, and nobody can change one that others run too.
use crate::sealed::sealed;
use crate::step::{At, Failure, Step};
use rustix::fs::MemfdFlags;
use std::fs::read;
use std::os::fd::OwnedFd;
use std::path::Path;

pub struct Program {
    pub file: OwnedFd,
}

impl Program {
    pub fn load(name: &str, path: &Path) -> Result<Self, Failure> {
        let bytes = read(path).about(Step::LoadProgram, path.display())?;
        let file = sealed(name, &bytes, MemfdFlags::EXEC, Step::LoadProgram)?;
        Ok(Self { file })
    }
}
