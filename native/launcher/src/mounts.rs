use crate::step::{At, Failure, Step};
use rustix::fs::{AtFlags, CWD, Mode, mkdirat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

pub enum Option<'a> {
    Flag(&'a str),
    Text(&'a str, &'a str),
}

/// A new mount, attached nowhere.
pub fn make(step: Step, file_system: &str, options: &[Option<'_>], attributes: MountAttrFlags) -> Result<OwnedFd, Failure> {
    let context = fsopen(file_system, FsOpenFlags::FSOPEN_CLOEXEC).about(step, file_system)?;
    for option in options {
        match option {
            Option::Flag(name) => fsconfig_set_flag(&context, *name).about(step, name)?,
            Option::Text(name, value) => {
                fsconfig_set_string(&context, *name, *value).about(step, format_args!("{name}={value}"))?
            }
        }
    }
    fsconfig_create(&context).at(step)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).at(step)
}

pub fn attach(mount: impl AsFd, path: &Path) -> Result<(), Failure> {
    move_mount(mount, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).about(Step::MoveMount, path.display())
}

/// An empty folder of the store's tmpfs, to attach something to.
pub fn place(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    match mkdirat(CWD, &path, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => Ok(path),
        Err(error) => Err(error).about(Step::MakeFolder, path.display()),
    }
}

/// What is attached there is out of sight at once, and gone when nothing uses it any more.
pub fn detach(path: &Path) -> Result<(), Failure> {
    match unmount(path, UnmountFlags::DETACH) {
        // Nothing is attached there.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(error).about(Step::Unmount, path.display()),
    }
}

pub fn remove_place(path: &Path) -> Result<(), Failure> {
    detach(path)?;
    match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error).about(Step::Unmount, path.display()),
    }
}
