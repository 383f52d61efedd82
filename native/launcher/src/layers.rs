//! Layers of the store, each mounted once and kept, whatever number of sandboxes uses it.
use crate::log;
use crate::loops::Loop;
use crate::mounts::{self, Option as Set};
use crate::step::{At, Failure, Step};
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fgetxattr, flistxattr, fstat, fsync, linkat, openat, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Mounts beyond this many are given up when no sandbox uses them, the longest unused first. One costs a loop device and about 1 MiB.
const KEPT: usize = 256;

pub struct Layers {
    store: OwnedFd,
    mounts: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    slots: HashMap<LayerKey, Slot>,
    uses: u64,
}

struct Slot {
    layer: Arc<Mutex<Option<Arc<Layer>>>>,
    last_use: u64,
}

/// `sha256-<64 hex>` or `chain-<64 hex>`: nothing else names a file of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayerKey(String);

impl LayerKey {
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256-").or_else(|| text.strip_prefix("chain-"))?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (hex.len() == 64 && hex.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    pub fn of_diff_id(digest: &str) -> Option<Self> {
        Self::parse(&format!("sha256-{}", digest.strip_prefix("sha256:")?))
    }

    pub fn of_chain_id(digest: &str) -> Option<Self> {
        Self::parse(&format!("chain-{}", digest.strip_prefix("sha256:")?))
    }

    pub fn file_name(&self) -> String {
        format!("{}.sqfs", self.0)
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
            store,
            mounts,
            kept: Mutex::default(),
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
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// As the disk of a machine. It outlives the layer's removal.
    pub fn open(&self, key: &LayerKey) -> Result<OwnedFd, Failure> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.store, key.file_name(), flags, Mode::empty()).about(Step::OpenLayer, key.as_str())
    }

    fn mount(&self, key: &LayerKey) -> Result<Layer, Failure> {
        let file = self.open(key)?;
        let device = Loop::attach(file, true)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
        let mount = mounts::make(
            Step::MountLayer,
            "squashfs",
            &[Set::Text("source", &device.path), Set::Flag("ro")],
            attributes,
        )?;
        let root = RootAttributes::of(&mount).about(Step::MountLayer, key.as_str())?;
        let mount_point = mounts::place(&self.mounts, key.as_str())?;
        let layer = Layer {
            mount,
            root,
            mount_point,
        };
        mounts::attach(&layer.mount, &layer.mount_point)?;
        Ok(layer)
    }

    /// Without a name until `publish`: a crash leaves nothing behind.
    pub fn new_file(&self) -> Result<OwnedFd, Failure> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        openat(&self.store, ".", flags, Mode::from_raw_mode(0o600)).at(Step::OpenOutput)
    }

    /// Nobody else may have `file` open for writing any more. Returns its size.
    pub fn publish(&self, file: &OwnedFd, key: &LayerKey, group: u32) -> Result<u64, Failure> {
        let size = fstat(file).at(Step::Publish)?.st_size as u64;
        fchown(file, Some(Uid::ROOT), Some(Gid::from_raw(group))).at(Step::Publish)?;
        fchmod(file, Mode::from_raw_mode(0o440)).at(Step::Publish)?;
        // Its bytes before its name: after a crash a name in the store means a whole layer.
        fsync(file).at(Step::Publish)?;
        match linkat(file, "", &self.store, key.file_name(), AtFlags::EMPTY_PATH) {
            // Another conversion of the same layer was first.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).about(Step::Publish, key.as_str()),
        }
        fsync(&self.store).at(Step::Publish)?;
        Ok(size)
    }

    /// EBUSY while a sandbox uses it.
    pub fn remove(&self, key: &LayerKey) -> Result<(), Failure> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.slots.get(key).is_some_and(Slot::in_use) {
            return Err(Errno::BUSY).about(Step::RemoveLayer, key.as_str());
        }
        kept.slots.remove(key);
        unlinkat(&self.store, key.file_name(), AtFlags::empty()).about(Step::RemoveLayer, key.as_str())
    }
}

impl Kept {
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
    fn takes_only_keys_of_the_store() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(LayerKey::parse(&format!("sha256-{hex}")).is_some());
        assert!(LayerKey::parse(&format!("chain-{hex}")).is_some());
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
