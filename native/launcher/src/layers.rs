//! Layers of the store as they are used: each mounted once and kept, whatever number of sandboxes uses it, and which of them must stay.
use crate::log;
use crate::loops::Loop;
use crate::mounts::{self, Option as Set};
use crate::step::{At, Failure, Step};
use crate::store::{self, Plan, Room, Store, Stored};
use rustix::fs::{Mode, OFlags, Stat, fgetxattr, flistxattr, fstat, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::ffi::CString;
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

/// `sha256-`, `chain-` or `fold-<64 hex>`: nothing else names a file of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerKey(String);

/// A layer by itself, by its DiffID; completed from those below, and all of a chain in one, by the ChainID.
const FORMS: [&str; 3] = ["sha256-", "chain-", "fold-"];

impl LayerKey {
    pub fn parse(text: &str) -> Option<Self> {
        let hex = FORMS.into_iter().find_map(|form| text.strip_prefix(form))?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (hex.len() == 64 && hex.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    pub fn of_diff_id(digest: &str) -> Option<Self> {
        Self::parse(&format!("sha256-{}", digest.strip_prefix("sha256:")?))
    }

    pub fn of_chain_id(digest: &str) -> Option<Self> {
        Self::parse(&format!("chain-{}", digest.strip_prefix("sha256:")?))
    }

    /// Of a chain of layers, oldest first, which their keys spell out.
    pub fn of_fold(layers: &[Self]) -> Option<Self> {
        let mut chain = layers.first()?.hex().to_owned();
        for layer in &layers[1..] {
            chain = match layer.0.strip_prefix(FORMS[0]) {
                Some(diff_id) => format!("{:x}", Sha256::digest(format!("sha256:{chain} sha256:{diff_id}"))),
                None if layer.is_fold() => return None,
                None => layer.hex().to_owned(),
            };
        }
        Some(Self(format!("{}{chain}", FORMS[2])))
    }

    fn is_fold(&self) -> bool {
        self.0.starts_with(FORMS[2])
    }

    fn hex(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, hex)| hex)
    }

    pub fn file_name(&self) -> String {
        format!("{}.sqfs", self.0)
    }

    pub fn of_file_name(name: &str) -> Option<Self> {
        Self::parse(name.strip_suffix(".sqfs")?)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A mounted layer.
pub struct Layer {
    pub mount: OwnedFd,
    pub root: RootAttributes,
    mount_point: PathBuf,
}

/// Of a layer's root folder, which the overlay shows from its upper one.
#[derive(PartialEq)]
pub struct RootAttributes {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub attributes: Vec<(CString, Vec<u8>)>,
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
        let file = self.store.open(key)?;
        let mount = mount_image(file)?;
        let root = RootAttributes::of(&mount).about(Step::MountLayer, key.as_str())?;
        let mount_point = mounts::place(&self.mounts, &self.kept().place_of(key))?;
        let layer = Layer {
            mount,
            root,
            mount_point,
        };
        mounts::attach(&layer.mount, &layer.mount_point)?;
        Ok(layer)
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

fn mount_image(file: OwnedFd) -> Result<OwnedFd, Failure> {
    let device = Loop::attach(file, true)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    let source = [Set::Text("source", &device.path), Set::Flag("ro")];
    mounts::make(Step::MountLayer, "squashfs", &source, attributes)
}

impl RootAttributes {
    fn of(mount: &OwnedFd) -> rustix::io::Result<Self> {
        let root = openat(mount, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let Stat {
            st_mode, st_uid, st_gid, ..
        } = fstat(&root)?;
        Ok(Self {
            mode: st_mode & 0o7777,
            uid: st_uid,
            gid: st_gid,
            attributes: user_attributes(&root)?,
        })
    }

    /// What the upper folder of a new scratch disk has.
    pub fn is_plain(&self) -> bool {
        self.mode == 0o755 && self.uid == 0 && self.gid == 0 && self.attributes.is_empty()
    }
}

/// Those of other name spaces are the overlay's or the kernel's own.
fn user_attributes(root: &OwnedFd) -> rustix::io::Result<Vec<(CString, Vec<u8>)>> {
    let mut names = vec![0; 64 << 10];
    let length = match flistxattr(root, &mut names) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    let mut attributes = Vec::new();
    for name in names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| name.starts_with(b"user."))
    {
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let mut value = vec![0; 64 << 10];
        let length = fgetxattr(root, &name, &mut value)?;
        value.truncate(length);
        attributes.push((name, value));
    }
    Ok(attributes)
}

impl Drop for Layer {
    fn drop(&mut self) {
        if let Err(failure) = mounts::remove_place(&self.mount_point) {
            log::warning(&failure.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LayerKey;

    #[test]
    fn a_fold_is_named_by_its_chain() {
        let key = |form: &str, letter: &str| LayerKey::parse(&format!("{form}-{}", letter.repeat(64))).expect("a key");
        let (a, b) = (key("sha256", "a"), key("sha256", "b"));
        let both = LayerKey::of_fold(&[a.clone(), b.clone()]).expect("a chain");
        // printf 'sha256:aa… sha256:bb…' | sha256sum
        assert_eq!(
            both.as_str(),
            "fold-ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"
        );
        let c = key("sha256", "c");
        let three = LayerKey::of_fold(&[a.clone(), b, c.clone()]);
        assert_eq!(three, LayerKey::of_fold(&[both.clone(), c.clone()]));
        assert_eq!(LayerKey::of_fold(&[a.clone(), key("chain", "d")]), Some(key("fold", "d")));
        assert_eq!(LayerKey::of_fold(&[a, both, c]), None);
        assert_eq!(LayerKey::of_fold(&[]), None);
    }

    #[test]
    fn takes_only_keys_of_the_store() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(LayerKey::parse(&format!("sha256-{hex}")).is_some());
        assert!(LayerKey::parse(&format!("chain-{hex}")).is_some());
        assert!(LayerKey::parse(&format!("fold-{hex}")).is_some());
        for bad in [
            format!("sha256:{hex}"),
            format!("sha512-{hex}"),
            format!("sha256-{hex}0"),
            format!("sha256-../{}", &hex[3..]),
            hex.to_uppercase(),
        ] {
            assert!(LayerKey::parse(&bad).is_none(), "{bad}");
        }
    }
}
