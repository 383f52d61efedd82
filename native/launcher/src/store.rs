//! The folder of layers. A name in it means a whole layer: its bytes were on disk, and their checksum with them, before it got the name.
use crate::digest;
use crate::layer_key::LayerKey;
use crate::step::{At, Errno as Named, Failure, Step};
use rustix::fs::{
    Advice, AtFlags, Dir, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid, XattrFlags, fadvise, fchmod,
    fchown, fgetxattr, fsetxattr, fstat, fsync, linkat, openat, statat, unlinkat, utimensat,
};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::thread;

/// Of the file's bytes, in hexadecimal digits.
const CHECKSUM: &CStr = c"trusted.caisson.sha256";

pub struct Store {
    folder: OwnedFd,
}

pub struct Stored {
    pub key: LayerKey,
    pub bytes: u64,
    /// Seconds and nanoseconds.
    pub last_use: (i64, u64),
}

#[derive(Clone, Copy)]
pub struct Room {
    /// What the store may have, with `coming_bytes`.
    pub keep_bytes: u64,
    pub coming_bytes: u64,
}

pub struct Plan {
    /// What has to go, the longest unused first.
    pub victims: Vec<Stored>,
    /// What is in use, or coming, is so much too much.
    pub lacking_bytes: u64,
}

impl Store {
    pub fn new(folder: OwnedFd) -> Self {
        Self { folder }
    }

    /// Without a name: a crash leaves nothing behind.
    pub fn new_file(&self) -> Result<OwnedFd, Failure> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        openat(&self.folder, ".", flags, Mode::from_raw_mode(0o600)).at(Step::OpenOutput)
    }

    /// Root's, read-only, on disk with its checksum: all but its name. Returns its size.
    pub fn complete(&self, file: &OwnedFd, group: u32) -> Result<u64, Failure> {
        fchown(file, Some(Uid::ROOT), Some(Gid::from_raw(group))).at(Step::Publish)?;
        fchmod(file, Mode::from_raw_mode(0o440)).at(Step::Publish)?;
        // The disk works while the checksum is made.
        let (written, checksum) = thread::scope(|scope| {
            let writing = scope.spawn(|| fsync(file));
            let checksum = digest::of_file(file).map(|found| digest::text(&found));
            (writing.join().unwrap_or(Err(Errno::IO)), checksum)
        });
        written.at(Step::Publish)?;
        fsetxattr(file, CHECKSUM, checksum.at(Step::Publish)?.as_bytes(), XattrFlags::empty()).at(Step::Publish)?;
        fsync(file).at(Step::Publish)?;
        Ok(fstat(file).at(Step::Publish)?.st_size as u64)
    }

    pub fn name(&self, file: &OwnedFd, key: &LayerKey) -> Result<(), Failure> {
        match linkat(file, "", &self.folder, key.file_name(), AtFlags::EMPTY_PATH) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).about(Step::Publish, key.as_str()),
        }
        fsync(&self.folder).at(Step::Publish)
    }

    pub fn has(&self, key: &LayerKey) -> bool {
        statat(&self.folder, key.file_name(), AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    pub fn open(&self, key: &LayerKey) -> Result<OwnedFd, Failure> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.folder, key.file_name(), flags, Mode::empty()).about(Step::OpenLayer, key.as_str())
    }

    pub fn find(&self, key: &LayerKey) -> Result<Option<(OwnedFd, Stored)>, Failure> {
        let file = match self.open(key) {
            Err(failure) if failure.errno == Errno::NOENT.raw_os_error() => return Ok(None),
            file => file?,
        };
        let facts = fstat(&file).about(Step::OpenLayer, key.as_str())?;
        Ok(Some((file, Stored::of(key, &facts))))
    }

    /// Marks a use, for whoever looks for the longest unused. False: it is not there.
    pub fn touch(&self, key: &LayerKey) -> bool {
        let at = |nanoseconds| Timespec {
            tv_sec: 0,
            tv_nsec: nanoseconds,
        };
        let now = Timestamps {
            last_access: at(UTIME_NOW),
            last_modification: at(UTIME_OMIT),
        };
        // A disk that is full may not take even this; what is there can be used all the same.
        utimensat(&self.folder, key.file_name(), &now, AtFlags::SYMLINK_NOFOLLOW).is_ok() || self.has(key)
    }

    /// What else lies there is not ours.
    pub fn list(&self) -> Result<Vec<Stored>, Failure> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.folder).at(Step::ListLayers)? {
            let entry = entry.at(Step::ListLayers)?;
            let name = entry.file_name();
            let Some(key) = LayerKey::of_file_name(&name.to_string_lossy()) else {
                continue;
            };
            match statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(facts) => found.push(Stored::of(&key, &facts)),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error).about(Step::ListLayers, key.as_str()),
            }
        }
        Ok(found)
    }

    pub fn delete(&self, key: &LayerKey) -> Result<(), Failure> {
        match unlinkat(&self.folder, key.file_name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).about(Step::RemoveLayer, key.as_str()),
        }
    }
}

impl Stored {
    fn of(key: &LayerKey, facts: &rustix::fs::Stat) -> Self {
        Self {
            key: key.clone(),
            bytes: facts.st_size as u64,
            last_use: (facts.st_atime, facts.st_atime_nsec),
        }
    }
}

/// What is wrong with the bytes of a layer, if they are not those that were published.
pub fn check(file: &OwnedFd) -> Result<Option<String>, Failure> {
    let mut expected = [0; 64];
    match fgetxattr(file, CHECKSUM, &mut expected[..]) {
        Ok(64) => {}
        Ok(_) | Err(Errno::NODATA | Errno::RANGE) => return Ok(Some("it has no checksum".into())),
        Err(error) => return Err(error).at(Step::ReadLayer),
    }
    // What the disk has counts, not what memory has of it.
    let _ = fadvise(file, 0, None, Advice::DontNeed);
    Ok(match digest::of_file(file) {
        Ok(found) if digest::text(&found).as_bytes() == expected => None,
        Ok(_) => Some("its bytes are not those that were stored".into()),
        Err(error) => Some(format!("it cannot be read: {}", Named::from(error))),
    })
}

pub fn longest_unused(mut stored: Vec<Stored>, in_use: &HashSet<LayerKey>, room: Room) -> Plan {
    stored.sort_by(|a, b| (a.last_use, &a.key).cmp(&(b.last_use, &b.key)));
    let total = stored.iter().map(|layer| layer.bytes).sum::<u64>() + room.coming_bytes;
    let mut excess = total.saturating_sub(room.keep_bytes);
    let mut victims = Vec::new();
    for layer in stored.into_iter().filter(|layer| !in_use.contains(&layer.key)) {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(layer.bytes);
        victims.push(layer);
    }
    Plan {
        victims,
        lacking_bytes: excess,
    }
}

#[cfg(test)]
mod tests {
    use super::{Room, Stored, longest_unused};
    use crate::layer_key::LayerKey;
    use std::collections::HashSet;

    fn key(digit: char) -> LayerKey {
        LayerKey::parse(&format!("sha256-{}", digit.to_string().repeat(64))).expect("a key")
    }

    /// Ten bytes each; used in this order.
    fn plan(in_use: &str, keep_bytes: u64, coming_bytes: u64) -> (String, u64) {
        let stored = "3102".chars().zip(0..).map(|(digit, second)| Stored {
            key: key(digit),
            bytes: 10,
            last_use: (second, 0),
        });
        let in_use: HashSet<LayerKey> = in_use.chars().map(key).collect();
        let room = Room {
            keep_bytes,
            coming_bytes,
        };
        let plan = longest_unused(stored.collect(), &in_use, room);
        let digits = plan.victims.iter().filter_map(|victim| victim.key.as_str().chars().last());
        (digits.collect(), plan.lacking_bytes)
    }

    #[test]
    fn the_longest_unused_go_first_and_no_more_than_needed() {
        assert_eq!(plan("", 40, 0), (String::new(), 0));
        assert_eq!(plan("", 39, 0), ("3".into(), 0));
        assert_eq!(plan("", 40, 11), ("31".into(), 0));
        assert_eq!(plan("", 0, 0), ("3102".into(), 0));
    }

    #[test]
    fn what_is_in_use_stays_and_may_be_too_much() {
        assert_eq!(plan("31", 25, 0), ("02".into(), 0));
        assert_eq!(plan("31", 15, 0), ("02".into(), 5));
        assert_eq!(plan("", 10, 15), ("3102".into(), 5));
    }
}
