//! Ranges of 65,536 ids, one per sandbox, that no other sandbox of this host has at the same time. Ids come from the range that systemd
//! sets aside for containers. They are taken in blocks, each locked by a file, so that instances never share one; from a block by chance on,
//! for a kernel may never forget what it counted for an id: Linux 6.18, rarely, a message queue that is gone with its sandbox. The first
//! ids of a host would gather that.
use crate::planted::is_missing;
use crate::step::{At, Failure, Step};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use std::fs::create_dir_all;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

const LOCKS: &str = "/run/caisson/uids";
const FIRST: u32 = 0x5000_0000;
const LAST: u32 = 0x6FFF_FFFF;
const NOBODY: u32 = 65_534;
pub const RANGE: u32 = 0x1_0000;
const RANGES_PER_BLOCK: u32 = 64;
const BLOCKS: u32 = (LAST - FIRST + 1) / RANGE / RANGES_PER_BLOCK;

pub struct Uids {
    taken: Mutex<Taken>,
}

struct Taken {
    locks: Vec<OwnedFd>,
    first_block: u32,
    tried: u32,
    free: Vec<u32>,
}

/// Given back when dropped, by when every process of the sandbox must be gone.
pub struct UidRange {
    pub first: u32,
    uids: &'static Uids,
}

impl Uids {
    pub fn new() -> Result<Self, Failure> {
        create_dir_all(LOCKS).about(Step::MakeFolder, LOCKS)?;
        let taken = Taken {
            locks: Vec::new(),
            first_block: (RandomState::new().hash_one(()) % u64::from(BLOCKS)) as u32,
            tried: 0,
            free: Vec::new(),
        };
        Ok(Self {
            taken: Mutex::new(taken),
        })
    }

    pub fn take(&'static self) -> Result<UidRange, Failure> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.free.is_empty() {
            taken.lock_block()?;
        }
        // The one that was free for longest: whatever still dies from an earlier sandbox has the most time to.
        Ok(UidRange {
            first: if is_missing("ids") { 0 } else { taken.free.remove(0) },
            uids: self,
        })
    }
}

impl Taken {
    fn lock_block(&mut self) -> Result<(), Failure> {
        while self.tried < BLOCKS {
            let block = (self.first_block + self.tried) % BLOCKS;
            self.tried += 1;
            if let Some(lock) = lock(block)? {
                self.locks.push(lock);
                let first = FIRST + block * RANGES_PER_BLOCK * RANGE;
                self.free.extend((0..RANGES_PER_BLOCK).map(|index| first + index * RANGE));
                return Ok(());
            }
        }
        Err(Errno::USERS).about(Step::TakeUids, format_args!("every one of {BLOCKS} blocks is taken"))
    }
}

fn lock(block: u32) -> Result<Option<OwnedFd>, Failure> {
    let path = format!("{LOCKS}/{block:03}");
    let file = openat(
        CWD,
        &path,
        OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::from_raw_mode(0o600),
    )
    .about(Step::TakeUids, &path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error).about(Step::TakeUids, &path),
    }
}

impl UidRange {
    /// In the format of /proc/PID/uid_map.
    pub fn whole_map(&self) -> String {
        format!("0 {} {RANGE}", self.first)
    }

    /// The host's id for one of the sandbox; what lies outside becomes "nobody", as the kernel has it.
    pub fn map(&self, id: u32) -> u32 {
        self.first + if id < RANGE { id } else { NOBODY }
    }
}

impl Drop for UidRange {
    fn drop(&mut self) {
        self.uids
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .free
            .push(self.first);
    }
}
