//! What guests say on their consoles, for whoever debugs them: a file for each machine, of bounded size, in which nothing is left that a
//! terminal would obey. A guest says what it likes.
use crate::instance::Owner;
use crate::log;
use crate::step::{At, Failure, Step};
use crate::sys;
use rustix::fs::{AtFlags, Dir, Gid, Mode, OFlags, Uid, fchown, openat, unlinkat};
use rustix::io::{Errno, read};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::UnshareFlags;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

/// Of the latest machines.
const KEPT_FILES: usize = 64;
const MOST_BYTES: usize = 1 << 20;
/// Of a guest that says more the beginning stays, and what it said last.
const HEAD_BYTES: usize = 512 << 10;
const TAIL_BYTES: usize = 256 << 10;
const CUT: &[u8] = b"\n[here something was left out]\n";
const READ_BYTES: usize = 16 << 10;
const STACK_BYTES: usize = 128 << 10;

pub struct Consoles {
    folder: OwnedFd,
    path: PathBuf,
    worker: Owner,
}

impl Consoles {
    pub fn new(folder: OwnedFd, state: &Path, worker: Owner) -> Self {
        Self {
            folder,
            path: state.join("consoles"),
            worker,
        }
    }

    /// And the VMM's end, which is to be closed before the console is dropped.
    pub fn make(&self, id: &str) -> Result<(Console, OwnedFd), Failure> {
        self.remove_oldest();
        let name = name_of(id);
        let path = self.path.join(&name);
        let file = self.file(&name).about(Step::Console, path.display())?;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).at(Step::Console)?;
        let record = Record { file, length: 0 };
        let keeper = keeper(move || keep(&ours, record))?;
        Ok((
            Console {
                path,
                keeper: Some(keeper),
            },
            theirs,
        ))
    }

    fn file(&self, name: &str) -> rustix::io::Result<File> {
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&self.folder, name, flags, Mode::from_raw_mode(0o640))?;
        fchown(&file, Some(Uid::ROOT), Some(Gid::from_raw(self.worker.gid)))?;
        Ok(File::from(file))
    }

    fn remove_oldest(&self) {
        let mut names = names_in(&self.folder);
        names.sort();
        for name in names.iter().rev().skip(KEPT_FILES - 1) {
            match unlinkat(&self.folder, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => log::warning(&format!("console {name}: {error}")),
            }
        }
    }
}

/// In the order of time, over all launchers of the state folder.
fn name_of(id: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:013}-{id}.log", since.as_millis())
}

fn names_in(folder: &OwnedFd) -> Vec<String> {
    let entries = Dir::read_from(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".log")).collect()
}

/// Dropped when its VMM has ended: then the file is whole.
pub struct Console {
    pub path: PathBuf,
    keeper: Option<JoinHandle<()>>,
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// A thread that has let go of the folders which it shares with the one that made it: else that one could enter no mount namespace.
fn keeper(keep: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    let (tell, told) = mpsc::channel();
    let keeper = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let own = sys::unshare(UnshareFlags::FS);
        let is_own = own.is_ok();
        if tell.send(own).is_ok() && is_own {
            keep();
        }
    });
    let keeper = keeper.at(Step::Console)?;
    told.recv().unwrap_or(Err(Errno::IO)).at(Step::Console)?;
    Ok(keeper)
}

/// Reads to the end whatever becomes of the file, or the guest would stand still at its next word.
fn keep(console: &OwnedFd, mut record: Record) {
    let mut bytes = [0; READ_BYTES];
    let mut kept = Ok(());
    loop {
        match read(console.as_fd(), &mut bytes) {
            Ok(0) => break,
            Ok(count) if kept.is_ok() => kept = record.take(&bytes[..count]),
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    if let Err(error) = kept {
        log::warning(&format!("a console was not kept to its end: {error}"));
    }
}

struct Record {
    file: File,
    length: usize,
}

impl Record {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = plain(bytes);
        if self.length + text.len() > MOST_BYTES {
            self.cut()?;
        }
        self.write(&text)
    }

    fn cut(&mut self) -> io::Result<()> {
        let mut tail = vec![0; TAIL_BYTES];
        self.file.read_exact_at(&mut tail, (self.length - TAIL_BYTES) as u64)?;
        self.file.set_len(HEAD_BYTES as u64)?;
        self.length = HEAD_BYTES;
        self.file.seek(SeekFrom::End(0))?;
        self.write(CUT)?;
        self.write(&tail)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len();
        Ok(())
    }
}

/// Lines of printable ASCII; everything else as \xNN. A serial line ends its lines by two characters, of which one is enough.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\r' => {}
            b'\n' | b'\t' => text.push(byte),
            b' '..=b'~' if byte != b'\\' => text.push(byte),
            _ => text.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    text
}

#[cfg(test)]
#[path = "console_test.rs"]
mod tests;
