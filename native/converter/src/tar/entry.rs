use super::header::Header;
use super::pax::Extended;
use super::sparse::{Form, SparseMap, old_gnu};
use crate::attributes::{Attributes, clamp_time, device_number};
use crate::path::MAX_PATH_BYTES;
use crate::refuse::{Stop, shown};

/// One member of the archive, as all its headers together say.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// As written in the archive: see `path::components`.
    pub path: Vec<u8>,
    pub kind: Kind,
    pub attributes: Attributes,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// Size with its holes; the data follows.
    File(u64),
    Hardlink(Vec<u8>),
    Symlink(Vec<u8>),
    CharDevice(u32),
    BlockDevice(u32),
    Directory,
    Fifo,
}

/// The headers that come before an entry's own.
#[derive(Default)]
pub struct Leading {
    pub extended: Option<Extended>,
    pub long_path: Option<Vec<u8>>,
    pub long_link: Option<Vec<u8>>,
}

impl Leading {
    pub fn is_empty(&self) -> bool {
        self.extended.is_none() && self.long_path.is_none() && self.long_link.is_none()
    }
}

/// What follows an entry's header in the archive.
pub enum Layout {
    Nothing,
    Dense { stored: u64 },
    Mapped { stored: u64, map: SparseMap },
    OldGnu { stored: u64, map: SparseMap, more: bool },
    MapInData { stored: u64, size: u64 },
}

impl Layout {
    fn file_size(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Dense { stored } => *stored,
            Self::Mapped { map, .. } | Self::OldGnu { map, .. } => map.size,
            Self::MapInData { size, .. } => *size,
        }
    }
}

/// The extended header outdoes the fields, the GNU long name outdoes both, the name of a sparse file all of them: Go's order.
pub fn assemble(header: &Header, leading: Leading) -> Result<(Entry, Layout), Stop> {
    let mut extended = leading.extended.unwrap_or_default();
    let sparse = std::mem::take(&mut extended.sparse);
    let path = sparse
        .name
        .clone()
        .or(leading.long_path)
        .or(extended.path.take())
        .unwrap_or_else(|| header.path());
    let link = leading
        .long_link
        .or(extended.link_name.take())
        .unwrap_or_else(|| header.link_name());
    let bad = |fault: &str| Stop::bad_entry(&path, fault);

    let stored = match extended.size {
        Some(size) => size,
        None => header.size()?,
    };
    let kind = match header.kind() {
        // Before POSIX, a directory was a file with a slash at its end.
        0 if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File(0),
        b'1' => Kind::Hardlink(link),
        b'2' => Kind::Symlink(checked_target(&path, link)?),
        b'3' => Kind::CharDevice(device(header, &path)?),
        b'4' => Kind::BlockDevice(device(header, &path)?),
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(bad(&format!("entries of type {:?} are not supported", shown(&[other])))),
    };
    let layout = match kind {
        // Whatever size it states: no reader of layers looks for data behind these.
        Kind::File(_) if header.kind() == b'S' => {
            if !header.is_gnu() {
                return Err(bad("a sparse entry in an archive that is not GNU's"));
            }
            let (map, more) = old_gnu(header).ok_or_else(|| bad("bad sparse map"))?;
            Layout::OldGnu { stored, map, more }
        }
        Kind::File(_) => match sparse.form().ok_or_else(|| bad("unknown sparse format"))? {
            Form::Dense => Layout::Dense { stored },
            Form::Mapped(map) => Layout::Mapped { stored, map },
            Form::MapInData(size) => Layout::MapInData { stored, size },
        },
        _ => Layout::Nothing,
    };
    let kind = if let Kind::File(_) = kind {
        Kind::File(layout.file_size())
    } else {
        kind
    };
    let mut attributes = attributes(header, extended, &path)?;
    if let Kind::Symlink(_) = kind {
        // Whatever the archive says: no file system gives a symlink another.
        attributes.mode = 0o777;
    }
    Ok((Entry { path, kind, attributes }, layout))
}

fn attributes(header: &Header, extended: Extended, path: &[u8]) -> Result<Attributes, Stop> {
    // 2^32-1 is no id: the kernel takes it for "leave as it is".
    let id = |given: Option<i64>, field: Result<i64, Stop>, what: &str| {
        let id = given.map_or(field, Ok)?;
        u32::try_from(id)
            .ok()
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| Stop::bad_entry(path, format!("{what} {id} is outside of 0 to 4294967294")))
    };
    Ok(Attributes {
        mode: (header.mode()? & 0o7777) as u16,
        uid: id(extended.uid, header.uid(), "uid")?,
        gid: id(extended.gid, header.gid(), "gid")?,
        mtime: clamp_time(extended.mtime.map_or_else(|| header.mtime(), Ok)?),
        xattrs: extended.xattrs,
    })
}

fn checked_target(path: &[u8], target: Vec<u8>) -> Result<Vec<u8>, Stop> {
    if target.is_empty() || target.len() >= MAX_PATH_BYTES || target.contains(&0) {
        return Err(Stop::bad_entry(
            path,
            format!(
                "a symlink target of {} bytes, 1 to {} without NUL",
                target.len(),
                MAX_PATH_BYTES - 1
            ),
        ));
    }
    Ok(target)
}

fn device(header: &Header, path: &[u8]) -> Result<u32, Stop> {
    let (major, minor) = header.device()?;
    let number = u64::try_from(major)
        .ok()
        .zip(u64::try_from(minor).ok())
        .and_then(|(major, minor)| device_number(major, minor));
    number.ok_or_else(|| Stop::bad_entry(path, format!("device {major}:{minor} is outside of 4095:1048575")))
}
