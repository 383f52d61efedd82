//! Layers of the store as they are used: each mounted once and kept, whatever number of sandboxes uses it, and which of them must stay.
use crate::layer::{Layer, mount_image};
use crate::layer_key::LayerKey;
use crate::mounts;
use crate::step::Failure;
use crate::store::{self, Plan, Room, Store, Stored};
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Mounts beyond this many are given up when no sandbox uses them, the longest unused first. One costs a loop device and about 1 MiB.
const KEPT: usize = 256;

pub struct Layers {
    pub store: Store,
    mounts: PathBuf,
    kept: Mutex<Kept>,
    /// Of who changes what the store has: it never has more than it may.
    changing: Mutex<()>,
}

#[derive(Default)]
struct Kept {
    slots: HashMap<LayerKey, Slot>,
    /// How often each is held.
    holds: HashMap<LayerKey, usize>,
    uses: u64,
    /// Of mounts so far: the place of one that is on its way out cannot be taken by its successor.
    mounted: u64,
}

/// What became of a layer that was to be published.
pub struct Publication {
    pub stored_bytes: u64,
    pub removed: Vec<Stored>,
    /// Not 0: it was not taken.
    pub lacking_bytes: u64,
}

struct Slot {
    layer: Arc<Mutex<Option<Arc<Layer>>>>,
    last_use: u64,
}

impl Layers {
    pub fn new(store: OwnedFd, mounts: PathBuf) -> Self {
        Self {
            store: Store::new(store),
            mounts,
            kept: Mutex::default(),
            changing: Mutex::default(),
        }
    }

    pub fn take(&self, key: &LayerKey) -> Result<Arc<Layer>, Failure> {
        let slot = self.slot(key);
        // Two that need a new layer at once wait for one mount; others are not held up.
        let mut layer = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = &*layer {
            return Ok(layer.clone());
        }
        let mounted = Arc::new(self.mount(key)?);
        *layer = Some(mounted.clone());
        Ok(mounted)
    }

    fn slot(&self, key: &LayerKey) -> Arc<Mutex<Option<Arc<Layer>>>> {
        let mut kept = self.kept();
        kept.uses += 1;
        let last_use = kept.uses;
        if let Some(slot) = kept.slots.get_mut(key) {
            slot.last_use = last_use;
            return slot.layer.clone();
        }
        kept.make_room();
        let layer = Arc::default();
        kept.slots.insert(
            key.clone(),
            Slot {
                layer: Arc::clone(&layer),
                last_use,
            },
        );
        layer
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mount(&self, key: &LayerKey) -> Result<Layer, Failure> {
        Layer::mount(self.store.open(key)?, key, || {
            mounts::place(&self.mounts, &self.kept().place_of(key))
        })
    }

    /// From here on those that are there stay. Returns the others.
    pub fn hold(&self, keys: &[LayerKey]) -> Vec<LayerKey> {
        let mut kept = self.kept();
        for key in keys {
            *kept.holds.entry(key.clone()).or_default() += 1;
        }
        drop(kept);
        keys.iter().filter(|key| !self.store.touch(key)).cloned().collect()
    }

    pub fn release(&self, keys: &[LayerKey]) {
        for key in keys {
            self.store.touch(key);
        }
        let mut kept = self.kept();
        for key in keys {
            kept.release(key);
        }
    }

    /// Nobody else may have `file` open for writing any more.
    pub fn publish(&self, file: &OwnedFd, key: &LayerKey, group: u32, store_bytes: u64) -> Result<Publication, Failure> {
        let stored_bytes = self.store.complete(file, group)?;
        let _alone = self.changing();
        let mut publication = Publication {
            stored_bytes,
            removed: Vec::new(),
            lacking_bytes: 0,
        };
        // Another conversion of the same layer may have been first.
        if store_bytes > 0 && !self.store.has(key) {
            let room = Room {
                keep_bytes: store_bytes,
                coming_bytes: stored_bytes,
            };
            publication.lacking_bytes = self.plan(room)?.lacking_bytes;
            if publication.lacking_bytes == 0 {
                (publication.removed, publication.lacking_bytes) = self.make_room(room)?;
            }
        }
        if publication.lacking_bytes == 0 {
            self.store.name(file, key)?;
        }
        Ok(publication)
    }

    /// All of these that are not in use.
    pub fn remove(&self, keys: &[LayerKey]) -> Result<Vec<Stored>, Failure> {
        let _alone = self.changing();
        keys.iter().filter_map(|key| self.remove_unused(key).transpose()).collect()
    }

    /// The longest unused, until the store has at most so many bytes or all others are in use.
    pub fn shrink(&self, keep_bytes: u64) -> Result<Vec<Stored>, Failure> {
        let _alone = self.changing();
        let (removed, _) = self.make_room(Room {
            keep_bytes,
            coming_bytes: 0,
        })?;
        Ok(removed)
    }

    /// What is wrong with a layer, if there is such a layer; a broken one is gone then.
    pub fn verify(&self, key: &LayerKey) -> Result<Option<(u64, Option<String>)>, Failure> {
        let Some((file, stored)) = self.store.find(key)? else {
            return Ok(None);
        };
        let problem = match store::check(&file)? {
            None => mount_image(file).err().map(|failure| failure.to_string()),
            problem => problem,
        };
        if problem.is_some() {
            let _alone = self.changing();
            // Those who use it keep what they have; the next ones find it missing.
            let slot = self.kept().slots.remove(key);
            drop(slot);
            self.store.delete(key)?;
        }
        Ok(Some((stored.bytes, problem)))
    }

    fn plan(&self, room: Room) -> Result<Plan, Failure> {
        Ok(store::longest_unused(self.store.list()?, &self.kept().in_use(), room))
    }

    /// What was removed, and what is lacking all the same.
    fn make_room(&self, room: Room) -> Result<(Vec<Stored>, u64), Failure> {
        let mut removed = Vec::new();
        loop {
            let plan = self.plan(room)?;
            let mut refused = 0;
            for victim in &plan.victims {
                match self.remove_unused(&victim.key)? {
                    Some(stored) => removed.push(stored),
                    None => refused += 1,
                }
            }
            // One that was taken meanwhile stays: then others have to go.
            if refused == 0 {
                return Ok((removed, plan.lacking_bytes));
            }
        }
    }

    /// `None` for one in use, or not there.
    fn remove_unused(&self, key: &LayerKey) -> Result<Option<Stored>, Failure> {
        let mut kept = self.kept();
        if kept.is_in_use(key) {
            return Ok(None);
        }
        let Some((file, stored)) = self.store.find(key)? else {
            return Ok(None);
        };
        let slot = kept.slots.remove(key);
        self.store.delete(key)?;
        drop(kept);
        // To unmount it, and to free what nobody has open any more, takes its time: nobody else waits for it.
        drop((slot, file));
        Ok(Some(stored))
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_in_use(&self, key: &LayerKey) -> bool {
        self.holds.contains_key(key) || self.slots.get(key).is_some_and(Slot::in_use)
    }

    fn in_use(&self) -> HashSet<LayerKey> {
        let mounted = self.slots.iter().filter(|(_, slot)| slot.in_use()).map(|(key, _)| key);
        mounted.chain(self.holds.keys()).cloned().collect()
    }

    fn release(&mut self, key: &LayerKey) {
        if let Some(count) = self.holds.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.holds.remove(key);
            }
        }
    }

    fn place_of(&mut self, key: &LayerKey) -> String {
        self.mounted += 1;
        format!("{}.{}", key.as_str(), self.mounted)
    }

    fn make_room(&mut self) {
        while self.slots.len() >= KEPT {
            let unused = self.slots.iter().filter(|(_, slot)| !slot.in_use());
            let Some(oldest) = unused.min_by_key(|(_, slot)| slot.last_use).map(|(key, _)| key.clone()) else {
                return;
            };
            self.slots.remove(&oldest);
        }
    }
}

impl Slot {
    /// Nobody can take it meanwhile: that needs the lock that our caller holds.
    fn in_use(&self) -> bool {
        let being_taken = Arc::strong_count(&self.layer) > 1;
        let layer = self.layer.try_lock();
        being_taken || layer.map_or(true, |layer| layer.as_ref().is_some_and(|layer| Arc::strong_count(layer) > 1))
    }
}
