//! The root: layers, each a disk that the host opened for reading only, and the scratch disk above them.
use super::boot::{Boot, Hidden, names_in};
use crate::failure::{At, Failure};
use crate::kernel::{sleep, uptime};
use crate::payload::ROOT;
use crate::session::AgentError;
use alloc::collections::BTreeMap;
use alloc::ffi::CString;
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use caisson_frame::agent::{Counters, Mount, failed::Step};
use core::time::Duration;
use rustix::fd::AsFd;
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, StatVfs, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, mkdirat,
    openat, readlinkat, statvfs, syncfs, unlinkat,
};
use rustix::io::{Errno, write};
use rustix::mount::{MountFlags, mount};
use rustix::process::{chdir, fchdir};

/// Where they are mounted, by their targets; the first is the scratch disk.
const POINTS: &str = "/disks";
const PATIENCE: Duration = Duration::from_secs(20);
pub const SCRATCH: &str = "/disks/scratch";
/// As on the host: so that a file of exactly the size asked for has room (native/launcher/src/scratch).
const OVERHEAD_BYTES: u64 = 16 << 12;
const FULL_BYTES: u64 = 1 << 20;
const FULL_PART: u64 = 16;
const ATTRIBUTE_BYTES: usize = 64 << 10;

/// Their names, by SCSI target, which is the host's word, where the letters are the order in which the kernel happened to find them. It
/// looks for them on its own time.
pub fn wait_for(hidden: &Hidden, count: usize) -> Result<Vec<String>, AgentError> {
    let deadline = uptime() + PATIENCE;
    loop {
        let names = names_in(&hidden.disks).boot("/sys/block")?;
        let found: BTreeMap<usize, String> = names
            .iter()
            .filter_map(|name| Some((target(hidden, name)?, name.clone())))
            .filter(|(target, _)| *target < count)
            .collect();
        if found.len() == count {
            return Ok(found.into_values().collect());
        }
        if uptime() > deadline {
            return Err(Errno::NODEV).boot("find the disks");
        }
        sleep(Duration::from_millis(1));
    }
}

/// Before the machine is saved.
pub fn make_points(count: usize) -> Result<(), AgentError> {
    let layers = (1..count).map(|layer| format!("{POINTS}/{layer}"));
    layers
        .chain([SCRATCH.to_owned()])
        .try_for_each(|point| folder(&point).boot(&point))
}

/// `device` links to …/0:0:3:0: host, channel, target, unit.
fn target(hidden: &Hidden, name: &str) -> Option<usize> {
    let link = readlinkat(&hidden.disks, format!("{name}/device"), Vec::new()).ok()?;
    let link = link.to_str().ok()?;
    let mut address = link.rsplit('/').next()?.split(':').skip(2);
    let target = address.next()?.parse().ok()?;
    (address.next()? == "0").then_some(target)
}

/// Their files are there by now. The kernel is not told that they are smaller than the places where they were put, which takes an emulated
/// one as long as all the rest of this: of file systems that are whole it asks for nothing behind their ends.
pub fn mount_root(hidden: &Hidden, disks: &[String], ready: Option<u64>, wanted: &Mount) -> Result<(), Failure> {
    let used = disks.get(..=wanted.layers as usize).and_then(<[_]>::split_first);
    let (scratch, layers) = used.ok_or(Errno::NODEV).at(Step::Root, "find disks")?;
    fchdir(&hidden.devices).at(Step::Root, "enter /dev")?;
    for (layer, name) in (1..).zip(layers) {
        let (point, flags) = (
            format!("{POINTS}/{layer}"),
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::RDONLY,
        );
        mount(name, &point, "squashfs", flags, None).at(Step::Root, format_args!("mount layer {layer}"))?;
    }
    // One of another size is mounted over the ready one, behind which nothing is.
    if ready != Some(wanted.disk_bytes) {
        mount_scratch(hidden, scratch, wanted.disk_bytes)?;
    }
    dress_upper(wanted.layers).at(Step::Root, "dress upper folder")?;
    mount_overlay(&lowers(wanted.layers), "scratch")
}

/// Before the machine is saved: the disk is then saved too, as it is from here on, and each machine that comes of it has a copy of its own.
pub fn mount_ready(hidden: &Hidden, device: Option<String>, bytes: u64) -> Result<(), AgentError> {
    let device = device.ok_or(Errno::NODEV).boot("find the ready scratch disk")?;
    fchdir(&hidden.devices).boot("enter /dev")?;
    mount_scratch(hidden, &device, bytes).map_err(|failure| AgentError::Boot(failure.message, failure.errno))?;
    chdir("/").boot("/")?;
    // What the kernel knew of it and the disk did not would be lost.
    let root = openat(CWD, SCRATCH, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).boot(SCRATCH)?;
    syncfs(root).boot("write out the ready scratch disk")
}

fn mount_scratch(hidden: &Hidden, device: &str, bytes: u64) -> Result<(), Failure> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    mount(device, SCRATCH, "ext4", flags, c"noinit_itable,nobarrier,noauto_da_alloc").at(Step::Root, "mount scratch disk")?;
    for (name, mode) in [("upper", 0o755), ("work", 0o700)] {
        mkdirat(CWD, format!("{SCRATCH}/{name}"), Mode::from_raw_mode(mode)).at(Step::Root, name)?;
    }
    reserve(hidden, device, bytes).at(Step::Root, "reserve the excess")
}

/// What is left is exactly what was asked for. ext4 keeps some blocks for itself, and can be told to keep more: in a guest that takes less
/// than a file in the way, which the host leaves in a container's.
fn reserve(hidden: &Hidden, device: &str, bytes: u64) -> Result<(), Errno> {
    let state = statvfs(SCRATCH)?;
    let excess = free(&state).saturating_sub(bytes.saturating_add(OVERHEAD_BYTES)) / state.f_frsize;
    let kept = state.f_bfree - state.f_bavail;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(
        &hidden.file_systems,
        format!("{device}/reserved_clusters"),
        flags,
        Mode::empty(),
    )?;
    write(file, (kept + excess).to_string().as_bytes()).map(drop)
}

fn free(state: &StatVfs) -> u64 {
    state.f_bavail * state.f_frsize
}

/// The overlay's root has the attributes of its upper folder: they must be those of the topmost layer's root.
fn dress_upper(layers: u32) -> Result<(), Errno> {
    if layers == 0 {
        return Ok(());
    }
    let open = |path: &str| openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let (top, upper) = (open(&format!("{POINTS}/{layers}"))?, open(&format!("{SCRATCH}/upper"))?);
    let (root, fresh) = (fstat(&top)?, fstat(&upper)?);
    if (root.st_uid, root.st_gid) != (fresh.st_uid, fresh.st_gid) {
        let (uid, gid) = (Uid::from_raw(root.st_uid), Gid::from_raw(root.st_gid));
        fchown(&upper, Some(uid), Some(gid))?;
    }
    if root.st_mode != fresh.st_mode {
        fchmod(&upper, Mode::from_raw_mode(root.st_mode & 0o7777))?;
    }
    // Most have none, and room for all that there may be would have to be made, and unmade, for nothing.
    if matches!(flistxattr(&top, &mut [0; 0]), Ok(0) | Err(Errno::OPNOTSUPP)) {
        return Ok(());
    }
    let mut names = vec![0; ATTRIBUTE_BYTES];
    let length = flistxattr(&top, &mut names)?;
    for name in names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| name.starts_with(b"user."))
    {
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let mut value = vec![0; ATTRIBUTE_BYTES];
        let length = fgetxattr(&top, &name, &mut value)?;
        fsetxattr(&upper, &name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}

/// Topmost first.
pub fn lowers(layers: u32) -> String {
    let names: Vec<String> = (1..=layers).rev().map(|layer| layer.to_string()).collect();
    names.join(":")
}

/// By names relative to their folder: the options must fit into a page, and show in the client's mountinfo. Over what is there.
pub fn mount_overlay(lowers: &str, writable: &str) -> Result<(), Failure> {
    let options = format!(
        "lowerdir={lowers},upperdir={writable}/upper,workdir={writable}/work,volatile,xino=off,redirect_dir=nofollow,index=off,metacopy=off"
    );
    let options = CString::new(options).map_err(|_| Failure::new(Step::Root, "overlay", Errno::INVAL))?;
    chdir(POINTS).at(Step::Root, POINTS)?;
    let mounted = mount(
        "overlay",
        ROOT,
        "overlay",
        MountFlags::NOSUID | MountFlags::NODEV,
        options.as_c_str(),
    );
    chdir("/").at(Step::Root, "/")?;
    mounted.at(Step::Root, "mount overlay")
}

pub fn measure(counters: &mut Counters) {
    let Ok(state) = statvfs(SCRATCH) else { return };
    let available = free(&state);
    let usable = (state.f_blocks - (state.f_bfree - state.f_bavail)) * state.f_frsize;
    counters.disk_used_bytes = Some(usable.saturating_sub(available));
    let asked = usable.saturating_sub(OVERHEAD_BYTES);
    counters.disk_full = available < OVERHEAD_BYTES + FULL_BYTES.min(asked / FULL_PART) || state.f_favail == 0;
}

/// With all that is in it; nothing is mounted there.
pub fn remove_tree(parent: impl AsFd, name: &str) -> Result<(), Errno> {
    match unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return other,
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(&parent, name, flags, Mode::empty())?;
    for name in names_in(&folder)? {
        remove_tree(&folder, &name)?;
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

pub fn folder(path: &str) -> Result<(), Errno> {
    mkdirat(CWD, path, Mode::from_raw_mode(0o755))
}
