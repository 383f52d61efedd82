//! What a predecessor that was killed left behind: its processes in their cgroups, and the sockets of its channels. Its mounts and loop
//! devices vanished with its mount namespaces, its files had no names.
use crate::cgroup::Hierarchies;
use crate::instance::Instance;
use rustix::fs::{AtFlags, Dir, FileType, unlinkat};

pub fn sweep(instance: &Instance, cgroups: &Hierarchies) {
    cgroups.sweep();
    let Ok(entries) = Dir::read_from(&instance.channels) else {
        return;
    };
    for entry in entries.flatten().filter(|entry| entry.file_type() == FileType::Socket) {
        let _ = unlinkat(&instance.channels, entry.file_name(), AtFlags::empty());
    }
}
