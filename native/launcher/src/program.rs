//! Agent and converter, executed from sealed memory: their roots hold no program, and nobody can change one that others run too.
use crate::step::{At, Failure, Step};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::fs::File;
use std::io::copy;
use std::os::fd::OwnedFd;
use std::path::Path;

pub struct Program {
    pub file: OwnedFd,
}

impl Program {
    pub fn load(name: &str, path: &Path) -> Result<Self, Failure> {
        let mut source = File::open(path).about(Step::LoadProgram, path.display())?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::EXEC;
        let mut memory = File::from(memfd_create(name, flags).about(Step::LoadProgram, name)?);
        copy(&mut source, &mut memory).about(Step::LoadProgram, path.display())?;
        fcntl_add_seals(
            &memory,
            SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
        )
        .about(Step::LoadProgram, name)?;
        Ok(Self { file: memory.into() })
    }
}
