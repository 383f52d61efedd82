//! Machines that were saved before anybody spoke to their agent: the guest's memory, the state of its devices and its scratch disk, for any
//! number of others to begin from. Nobody can change any of it any more, whoever has it open.
use crate::scratch::DiskTemplate;
use crate::sealed::seal;
use crate::spec;
use crate::step::{At, Failure, Step};
use rustix::fs::{CWD, FallocateFlags, MemfdFlags, Mode, OFlags, fallocate, fstat, ftruncate, memfd_create, openat};
use rustix::io::{Errno, dup};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a machine is saved to.
pub struct Draft {
    pub memory: OwnedFd,
    pub state: OwnedFd,
    /// Once it has one, for so many bytes.
    disk: Option<(OwnedFd, u64)>,
    memory_bytes: u64,
}

impl Draft {
    pub fn make(memory_bytes: u64) -> Result<Self, Failure> {
        let memory = unsealed("template-memory")?;
        ftruncate(&memory, memory_bytes).at(Step::Template)?;
        let state = unsealed("template-state")?;
        Ok(Self {
            memory,
            state,
            disk: None,
            memory_bytes,
        })
    }

    pub fn has_disk(&mut self, file: &OwnedFd, bytes: u64) -> Result<(), Failure> {
        self.disk = Some((dup(file).at(Step::Template)?, bytes));
        Ok(())
    }

    /// Its VMM has ended.
    fn seal(self) -> Result<Template, Failure> {
        let state_bytes = fstat(&self.state).at(Step::Template)?.st_size as u64;
        if state_bytes == 0 {
            return Err(Errno::NODATA).about(Step::Template, "the machine was not saved");
        }
        // A machine that writes to a page that is not there would have to pay for two, and leave one: the template's.
        fallocate(&self.memory, FallocateFlags::empty(), 0, self.memory_bytes).at(Step::Template)?;
        seal(&self.memory).at(Step::Template)?;
        seal(&self.state).at(Step::Template)?;
        let disk = self.disk.map(|(file, bytes)| DiskTemplate::of(&file, bytes)).transpose()?;
        Ok(Template {
            bytes: self.memory_bytes + state_bytes,
            disk: disk.map(Arc::new),
            memory: self.memory,
            state: self.state,
        })
    }
}

fn unsealed(name: &str) -> Result<OwnedFd, Failure> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::NOEXEC_SEAL;
    memfd_create(name, flags).about(Step::Template, name)
}

pub struct Template {
    pub bytes: u64,
    /// As it was when the machine was saved.
    pub disk: Option<Arc<DiskTemplate>>,
    memory: OwnedFd,
    state: OwnedFd,
}

impl Template {
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    /// With a position of its own: others read it at the same time.
    pub fn state(&self) -> Result<OwnedFd, Failure> {
        let path = format!("/proc/self/fd/{}", self.state.as_raw_fd());
        openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).about(Step::Template, "state")
    }
}

/// By the id of the connection that keeps it.
#[derive(Default)]
pub struct Templates(Mutex<HashMap<String, Arc<Template>>>);

impl Templates {
    pub fn get(&self, id: &str) -> Result<Arc<Template>, Failure> {
        let known = self.lock().get(id).cloned();
        known.map_or_else(
            || spec::refuse(format_args!("boot.template_id: there is no template {id:?}")),
            Ok,
        )
    }

    /// Until the result is dropped; machines that came from it keep what they have.
    pub fn keep(&'static self, id: &str, draft: Draft) -> Result<Kept, Failure> {
        let template = Arc::new(draft.seal()?);
        let bytes = template.bytes;
        self.lock().insert(id.to_owned(), template);
        Ok(Kept {
            bytes,
            id: id.to_owned(),
            templates: self,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Template>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Kept {
    pub bytes: u64,
    id: String,
    templates: &'static Templates,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.templates.lock().remove(&self.id);
    }
}
