use crate::step::{At, Failure, Step};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::{Errno, read, write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A cgroup in one hierarchy.
pub struct Folder(OwnedFd);

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Folder {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl Folder {
    pub fn open(&self, name: &str) -> Result<Self, Failure> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(
            openat(&self.0, name, flags, Mode::empty()).about(Step::MakeCgroup, name)?,
        ))
    }

    pub fn make(&self, name: &str) -> Result<Self, Failure> {
        match mkdirat(&self.0, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => self.open(name),
            Err(error) => Err(error).about(Step::MakeCgroup, name),
        }
    }

    pub fn remove(&self, name: &str) -> rustix::io::Result<()> {
        match unlinkat(&self.0, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    /// None of which has any itself.
    pub fn remove_with_children(&self, name: &str) -> rustix::io::Result<()> {
        if let Ok(folder) = self.open(name) {
            folder.children().iter().try_for_each(|child| folder.remove(child))?;
        }
        self.remove(name)
    }

    pub fn open_to_write(&self, file: &str) -> Result<OwnedFd, Failure> {
        openat(&self.0, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).about(Step::WriteCgroup, file)
    }

    pub fn open_to_read(&self, file: &str) -> Result<OwnedFd, Failure> {
        openat(&self.0, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).about(Step::ReadCgroup, file)
    }

    pub fn write(&self, file: &str, text: &str) -> Result<(), Failure> {
        let opened = self.open_to_write(file)?;
        write(&opened, text.as_bytes()).about(Step::WriteCgroup, file).map(drop)
    }

    /// Every file read here fits into a page.
    pub fn read(&self, file: &str) -> Result<String, Failure> {
        let opened = self.open_to_read(file)?;
        let mut buffer = [0; 4096];
        let length = read(&opened, &mut buffer).about(Step::ReadCgroup, file)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// A file that holds one number; `None` also where the kernel has no such file.
    pub fn number(&self, file: &str) -> Option<u64> {
        self.read(file).ok()?.trim().parse().ok()
    }

    /// One of a file's "name number" lines.
    pub fn field(&self, file: &str, name: &str) -> Option<u64> {
        field(&self.read(file).ok()?, name)
    }

    pub fn children(&self) -> Vec<String> {
        let Ok(entries) = Dir::read_from(&self.0) else {
            return Vec::new();
        };
        let folders = entries
            .flatten()
            .filter(|entry| entry.file_type() == rustix::fs::FileType::Directory);
        folders
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "." && name != "..")
            .collect()
    }
}

pub fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A cgroup as far as its files go.
#[cfg(test)]
pub fn fake(files: &[(&str, &str)]) -> Folder {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!(
        "t-launcher-cgroup-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).expect("folder");
    for (file, text) in files {
        std::fs::write(path.join(file), text).expect("file");
    }
    let folder = rustix::fs::open(&path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("folder");
    // The opened folder and its files live on for as long as the test holds it.
    FAKES.with_borrow_mut(|fakes| fakes.push(Fake(path)));
    Folder(folder)
}

#[cfg(test)]
thread_local! {
    static FAKES: std::cell::RefCell<Vec<Fake>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(test)]
struct Fake(std::path::PathBuf);

#[cfg(test)]
impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
