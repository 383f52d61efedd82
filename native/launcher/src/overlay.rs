//! The root of a sandbox: idmapped clones of kept layers below, its scratch disk above.
use crate::layer::{Layer, RootAttributes};
use crate::log;
use crate::mounts::{self, Option as Set};
use crate::planted::is_missing;
use crate::scratch::Scratch;
use crate::spec::MAX_LAYERS;
use crate::step::{At, Failure, Step};
use crate::sys;
use crate::uids::UidRange;
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, XattrFlags, fchmod, fchown, fsetxattr, openat};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Inode numbers stay those of the layers (xino needs 64 bits of them, which 32-bit programs cannot take), directories of a layer are
/// never renamed (a redirect is followed by name: no layer of ours holds one), hard links need no index and the file system no identity
/// on a disk that is used once.
const CHOICES: [Set<'_>; 5] = [
    Set::Text("xino", "off"),
    Set::Text("redirect_dir", "nofollow"),
    Set::Text("index", "off"),
    Set::Text("metacopy", "off"),
    Set::Text("uuid", "null"),
];

/// Where clones are attached while an overlay is made of them: kernels before 6.15 take no others. It is a mount itself, so that a single
/// unmount takes all of them away, when there is time for it.
pub struct Stage {
    path: PathBuf,
    clones: Vec<OwnedFd>,
}

/// One folder of mount points for all stages, each of which is a bind of it.
pub struct Stages {
    mounts: PathBuf,
    points: OwnedFd,
}

/// For a sandbox to write to. Layers are given oldest first. The mount is attached nowhere yet.
pub fn writable(
    layers: &[Arc<Layer>],
    ids: impl AsFd,
    range: &UidRange,
    scratch: &Scratch,
    stage: &mut Stage,
) -> Result<OwnedFd, Failure> {
    if let Some(top) = layers.last() {
        dress_upper(scratch, &top.root, range)?;
    }
    let lowers = stage.fill(layers, ids)?;
    // By descriptor, also because the options show in the sandbox, where paths of the host have no business.
    let (upper, work) = (path_of(&scratch.disk().upper), path_of(&scratch.disk().work));
    let mut options: Vec<Set<'_>> = lowers.iter().map(|path| Set::Text("lowerdir+", path)).collect();
    // Volatile: to sync a disk that is thrown away would only cost time.
    options.extend([
        Set::Text("upperdir", &upper),
        Set::Text("workdir", &work),
        Set::Flag("volatile"),
    ]);
    make(options)
}

/// For the converter to look up what lies below its layer.
pub fn read_only(layers: &[Arc<Layer>], ids: impl AsFd, stage: &mut Stage) -> Result<OwnedFd, Failure> {
    if let [only] = layers {
        // Overlayfs takes no fewer than two lowers without an upper.
        return idmapped_clone(only, ids);
    }
    let lowers = stage.fill(layers, ids)?;
    make(lowers.iter().map(|path| Set::Text("lowerdir+", path)).collect())
}

fn make(mut options: Vec<Set<'_>>) -> Result<OwnedFd, Failure> {
    options.extend(CHOICES);
    mounts::make(Step::MountOverlay, "overlay", &options, attributes())
}

fn attributes() -> MountAttrFlags {
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    attributes.set(MountAttrFlags::MOUNT_ATTR_NODEV, !is_missing("nodev"));
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOSUID, !is_missing("nosuid"));
    attributes
}

pub fn idmapped_clone(layer: &Layer, ids: impl AsFd) -> Result<OwnedFd, Failure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let clone = open_tree(&layer.mount, "", flags).at(Step::CloneLayer)?;
    sys::idmap(&clone, ids).at(Step::IdmapLayer)?;
    Ok(clone)
}

/// The overlay's root has the attributes of its upper folder: they must be those of the topmost layer's root.
fn dress_upper(scratch: &Scratch, root: &RootAttributes, range: &UidRange) -> Result<(), Failure> {
    if root.is_plain() {
        return Ok(());
    }
    let upper = &scratch.disk().upper;
    let (uid, gid) = (Uid::from_raw(range.map(root.uid)), Gid::from_raw(range.map(root.gid)));
    fchown(upper, Some(uid), Some(gid)).at(Step::DressUpper)?;
    fchmod(upper, Mode::from_raw_mode(root.mode)).at(Step::DressUpper)?;
    for (name, value) in &root.attributes {
        fsetxattr(upper, name, value, XattrFlags::empty()).about(Step::DressUpper, name.to_string_lossy())?;
    }
    Ok(())
}

fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

impl Stages {
    pub fn make(mounts: &Path) -> Result<Self, Failure> {
        let points = mounts::place(mounts, "stage")?;
        for index in 0..MAX_LAYERS {
            mounts::place(&points, &index.to_string())?;
        }
        let points = openat(CWD, &points, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).about(Step::MakeFolder, "stage")?;
        Ok(Self {
            mounts: mounts.to_owned(),
            points,
        })
    }

    pub fn stage(&self, id: &str) -> Result<Stage, Failure> {
        let stage = Stage {
            path: mounts::place(&self.mounts, &format!("{id}.stage"))?,
            clones: Vec::new(),
        };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let points = open_tree(&self.points, "", flags).at(Step::CloneTree)?;
        mounts::attach(points, &stage.path)?;
        Ok(stage)
    }
}

impl Stage {
    /// Returns the clones' paths, newest layer first.
    fn fill(&mut self, layers: &[Arc<Layer>], ids: impl AsFd) -> Result<Vec<String>, Failure> {
        for (index, layer) in layers.iter().rev().enumerate() {
            let clone = idmapped_clone(layer, &ids)?;
            mounts::attach(&clone, &self.path.join(index.to_string()))?;
            self.clones.push(clone);
        }
        Ok(self.clones.iter().map(path_of).collect())
    }

    /// The overlay has clones of its own by now.
    pub fn clear(&mut self) {
        self.clones.clear();
        if let Err(failure) = mounts::detach(&self.path) {
            log::warning(&failure.to_string());
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(failure) = mounts::remove_place(&self.path) {
            log::warning(&failure.to_string());
        }
    }
}
