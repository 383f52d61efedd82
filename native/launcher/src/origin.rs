//! What a guest's memory begins with.
use crate::launcher::Launcher;
use crate::scratch::DiskTemplate;
use crate::spec::From;
use crate::step::Failure;
use crate::templates::{Draft, Template};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

pub enum Origin {
    Kernel,
    /// The same, to be saved.
    Draft(Draft),
    Template {
        template: Arc<Template>,
        state: OwnedFd,
    },
}

impl Origin {
    pub fn of(launcher: &Launcher, from: &From) -> Result<Self, Failure> {
        match from {
            From::Kernel => Ok(Self::Kernel),
            From::KernelToSave { memory_bytes } => Draft::make(*memory_bytes).map(Self::Draft),
            From::Template { id } => {
                let template = launcher.templates.get(id)?;
                let state = template.state()?;
                Ok(Self::Template { template, state })
            }
        }
    }

    /// What the scratch disk of the machine that was saved had on it.
    pub fn disk(&self) -> Option<Arc<DiskTemplate>> {
        match self {
            Self::Template { template, .. } => template.disk.clone(),
            _ => None,
        }
    }

    /// The others have what they need of it by now.
    pub fn into_draft(self) -> Option<Draft> {
        match self {
            Self::Draft(draft) => Some(draft),
            _ => None,
        }
    }

    pub fn files<'a>(&'a self, launcher: &'a Launcher) -> Result<Vec<BorrowedFd<'a>>, Failure> {
        if let Self::Template { template, state } = self {
            return Ok(vec![template.memory(), state.as_fd()]);
        }
        let guest = launcher.guest.files()?;
        let mut files = vec![guest.kernel.as_fd(), guest.initramfs.as_fd()];
        if let Self::Draft(draft) = self {
            files.push(draft.memory.as_fd());
        }
        Ok(files)
    }
}
