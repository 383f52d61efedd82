//! Disks that sandboxes gave back as they had got them: most programs write no file, and a disk is the dearest part of a sandbox.
use super::disk::Disk;
use crate::log;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// There are never more than were in use at once within `PATIENCE`, for one is made only where none is left over: who is busy keeps what he
/// needs. This is for a crowd that comes once.
const MOST: usize = 64;
/// Who is idle keeps none.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Default)]
pub struct Spare(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    disks: Vec<(Instant, Disk)>,
    minded: bool,
}

impl Spare {
    pub fn take(&self, bytes: u64) -> Option<Disk> {
        let mut kept = self.kept();
        let fits = |disk: &Disk| disk.bytes == bytes && disk.is_new().unwrap_or(false);
        let index = kept.disks.iter().rposition(|(_, disk)| fits(disk))?;
        Some(kept.disks.remove(index).1)
    }

    pub fn keep(self: &Arc<Self>, mut disk: Disk) {
        match disk.renew() {
            Ok(true) => self.add(disk),
            Ok(false) => {}
            Err(failure) => log::warning(&failure.to_string()),
        }
    }

    fn add(self: &Arc<Self>, disk: Disk) {
        let mut kept = self.kept();
        // Disks are unmounted outside of the lock.
        let superfluous = (kept.disks.len() >= MOST).then(|| kept.disks.remove(0));
        kept.disks.push((Instant::now(), disk));
        if !kept.minded {
            let spare = self.clone();
            kept.minded = thread::Builder::new().spawn(move || spare.mind()).is_ok();
        }
        drop(kept);
        drop(superfluous);
    }

    /// Until none is left.
    fn mind(&self) {
        loop {
            sleep(PATIENCE / 3);
            let mut kept = self.kept();
            let fresh = kept.disks.partition_point(|(since, _)| since.elapsed() > PATIENCE);
            let old: Vec<_> = kept.disks.drain(..fresh).collect();
            if kept.disks.is_empty() {
                kept.minded = false;
                return;
            }
            drop(kept);
            drop(old);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
