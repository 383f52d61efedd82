//! One layer of the store, mounted.
use crate::layer_key::LayerKey;
use crate::log;
use crate::loops::Loop;
use crate::mounts::{self, Option as Set};
use crate::step::{At, Failure, Step};
use rustix::fs::{Mode, OFlags, Stat, fgetxattr, flistxattr, fstat, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

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

impl Layer {
    /// `file` is the layer's own of the store.
    pub fn mount(file: OwnedFd, key: &LayerKey, mount_point: impl FnOnce() -> Result<PathBuf, Failure>) -> Result<Self, Failure> {
        let mount = mount_image(file)?;
        let root = RootAttributes::of(&mount).about(Step::MountLayer, key.as_str())?;
        let layer = Self {
            mount,
            root,
            mount_point: mount_point()?,
        };
        mounts::attach(&layer.mount, &layer.mount_point)?;
        Ok(layer)
    }
}

pub fn mount_image(file: OwnedFd) -> Result<OwnedFd, Failure> {
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
