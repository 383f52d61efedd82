//! What a scratch disk begins with, kept as the few blocks that are not zero: an empty file system of each size asked for, made by mkfs
//! once, or what a machine that was saved had on its own.
use super::unnamed;
use crate::step::{At, Failure, Step};
use rustix::fs::{SeekFrom, fstat, ftruncate, seek};
use rustix::io::{Errno, pread};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

pub const BLOCK: u64 = 4096;
const INODE: u64 = 256;
const BYTES_PER_INODE: u64 = 16 << 10;
/// Also a small disk takes many small files.
const FEWEST_INODES: u64 = 4096;
const GROUP: u64 = 8 * BLOCK * BLOCK;
/// Superblock, root folder, and the like.
const FIXED: u64 = 64 * BLOCK;
const KEPT: usize = 16;

/// Nothing that a disk of one run needs costs time or space: no journal, no checksums, no room to grow.
const FEATURES: &str =
    "none,sparse_super,large_file,filetype,ext_attr,dir_index,extents,flex_bg,huge_file,dir_nlink,extra_isize,uninit_bg";

pub struct DiskTemplate {
    pub bytes: u64,
    pub file_bytes: u64,
    pub blocks: Vec<(u64, Box<[u8]>)>,
}

impl DiskTemplate {
    /// `file` holds as many bytes for its user, and nobody writes to it any more.
    pub fn of(file: &OwnedFd, bytes: u64) -> Result<Self, Failure> {
        Ok(Self {
            bytes,
            file_bytes: fstat(file).at(Step::MakeScratch)?.st_size as u64,
            blocks: blocks(file).at(Step::MakeScratch)?,
        })
    }
}

/// Most recently used last.
#[derive(Default)]
pub struct Templates(Mutex<Vec<Arc<DiskTemplate>>>);

impl Templates {
    pub fn get(&self, folder: &OwnedFd, bytes: u64) -> Result<Arc<DiskTemplate>, Failure> {
        if let Some(template) = self.find(bytes) {
            return Ok(template);
        }
        // Made outside of the lock: two that ask for a new size at once do it twice, which harms nobody.
        let template = Arc::new(make(folder, bytes)?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(template.clone());
        Ok(template)
    }

    fn find(&self, bytes: u64) -> Option<Arc<DiskTemplate>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|template| template.bytes == bytes)?;
        let template = kept.remove(index);
        kept.push(template.clone());
        Some(template)
    }
}

fn make(folder: &OwnedFd, bytes: u64) -> Result<DiskTemplate, Failure> {
    let (file_bytes, inodes) = plan(bytes);
    let file = unnamed(folder)?;
    ftruncate(&file, file_bytes).at(Step::MakeScratch)?;
    format(&file, inodes)?;
    DiskTemplate::of(&file, bytes)
}

/// How large a file gives `bytes` to its user beside what the file system needs for itself, and its number of inodes.
fn plan(bytes: u64) -> (u64, u64) {
    let inodes = (bytes / BYTES_PER_INODE).max(FEWEST_INODES);
    // Kept back by ext4, so that a write of delayed blocks can always split an extent.
    let reserved = (bytes / 50).min(4096 * BLOCK) + BLOCK;
    let groups = bytes / GROUP + 2;
    let own = inodes * INODE + groups * 3 * BLOCK + reserved + reserved / 50 + FIXED;
    ((bytes + own).next_multiple_of(BLOCK), inodes)
}

fn format(file: &OwnedFd, inodes: u64) -> Result<(), Failure> {
    let mut command = Command::new("mkfs.ext4");
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .env("MKE2FS_CONFIG", "/dev/null");
    command.args([
        "-q",
        "-F",
        "-t",
        "ext4",
        "-m",
        "0",
        "-b",
        "4096",
        "-I",
        "256",
        "-O",
        FEATURES,
        "-N",
        &inodes.to_string(),
    ]);
    command.args([
        "-E",
        "lazy_itable_init=1,nodiscard,root_owner=0:0",
        &format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()),
    ]);
    let output = command
        .stdin(Stdio::null())
        .output()
        .about(Step::FormatScratch, "mkfs.ext4 (of e2fsprogs)")?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Errno::IO).about(Step::FormatScratch, format_args!("mkfs.ext4 ({})", words.trim()))
}

fn blocks(file: &OwnedFd) -> rustix::io::Result<Vec<(u64, Box<[u8]>)>> {
    let mut blocks = Vec::new();
    let mut position = 0;
    loop {
        position = match seek(file, SeekFrom::Data(position)) {
            Ok(data) => data / BLOCK * BLOCK,
            Err(Errno::NXIO) => return Ok(blocks),
            Err(error) => return Err(error),
        };
        let mut block = [0; BLOCK as usize];
        pread(file, &mut block, position)?;
        if block.iter().any(|&byte| byte != 0) {
            blocks.push((position, Box::from(block)));
        }
        position += BLOCK;
    }
}
