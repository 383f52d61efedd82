use super::image::lies_as_written;
use super::metadata::Cursor;
use crate::path::MAX_PATH_BYTES;
use crate::refuse::Stop;
use crate::squashfs::BLOCK_BYTES;
use crate::squashfs::inode::{BLOCK_DEVICE, CHAR_DEVICE, DIRECTORY, EXTENDED, FIFO, FILE, SYMLINK};
use crate::tree::NO_FRAGMENT;
use crate::xattr::NO_SET;

pub struct Node {
    pub kind: NodeKind,
    pub mode: u16,
    /// Places in the table of owners.
    pub uid: u16,
    pub gid: u16,
    pub mtime: u32,
    pub number: u32,
    pub links: u32,
    pub xattrs: u32,
}

pub enum NodeKind {
    /// Where its listing is; the size counts `.` and `..` as three bytes.
    Directory {
        block: u32,
        offset: u16,
        size: u32,
    },
    File(FilePlace),
    Symlink(Vec<u8>),
    CharDevice(u32),
    BlockDevice(u32),
    Fifo,
}

pub struct FilePlace {
    pub size: u64,
    pub start: u64,
    pub fragment: u32,
    pub fragment_offset: u32,
    /// Sizes of its blocks, as stored.
    pub blocks: Vec<u32>,
}

impl Node {
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let kind = cursor.u16()?;
        let mode = cursor.u16()? & 0o7777;
        let (uid, gid) = (cursor.u16()?, cursor.u16()?);
        let (mtime, number) = (cursor.u32()?, cursor.u32()?);
        let extended = kind > EXTENDED;
        let body = match kind - if extended { EXTENDED } else { 0 } {
            DIRECTORY => directory(cursor, extended)?,
            FILE => file(cursor, extended)?,
            SYMLINK => symlink(cursor, extended)?,
            kind @ (CHAR_DEVICE | BLOCK_DEVICE | FIFO) => special(cursor, kind, extended)?,
            _ => return Err(cursor.damaged("kind of inode")),
        };
        Ok(Self {
            kind: body.kind,
            mode,
            uid,
            gid,
            mtime,
            number,
            links: body.links,
            xattrs: body.xattrs,
        })
    }

    pub fn is_whiteout(&self) -> bool {
        matches!(self.kind, NodeKind::CharDevice(0))
    }
}

struct Read {
    kind: NodeKind,
    links: u32,
    xattrs: u32,
}

fn directory(cursor: &mut Cursor<'_>, extended: bool) -> Result<Read, Stop> {
    let (block, links, size, offset, xattrs);
    if extended {
        (links, size, block) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let (_parent, _indexes) = (cursor.u32()?, cursor.u16()?);
        (offset, xattrs) = (cursor.u16()?, cursor.u32()?);
    } else {
        (block, links, size, offset) = (cursor.u32()?, cursor.u32()?, u32::from(cursor.u16()?), cursor.u16()?);
        xattrs = NO_SET;
    }
    let kind = NodeKind::Directory { block, offset, size };
    Ok(Read { kind, links, xattrs })
}

fn file(cursor: &mut Cursor<'_>, extended: bool) -> Result<Read, Stop> {
    let (start, size, fragment, fragment_offset, links, xattrs);
    if extended {
        (start, size) = (cursor.u64()?, cursor.u64()?);
        let _sparse = cursor.u64()?;
        (links, fragment) = (cursor.u32()?, cursor.u32()?);
        (fragment_offset, xattrs) = (cursor.u32()?, cursor.u32()?);
    } else {
        (start, fragment) = (u64::from(cursor.u32()?), cursor.u32()?);
        (fragment_offset, size) = (cursor.u32()?, u64::from(cursor.u32()?));
        (links, xattrs) = (1, NO_SET);
    }
    if !lies_as_written(size, fragment) || u64::from(fragment_offset) + size > BLOCK_BYTES as u64 && fragment != NO_FRAGMENT {
        return Err(cursor.damaged("file"));
    }
    let mut blocks = Vec::new();
    if fragment == NO_FRAGMENT {
        // Grows with what is there, however large the file says it is.
        for _ in 0..size.div_ceil(BLOCK_BYTES as u64) {
            blocks.push(cursor.u32()?);
        }
    }
    let place = FilePlace {
        size,
        start,
        fragment,
        fragment_offset,
        blocks,
    };
    let kind = NodeKind::File(place);
    Ok(Read { kind, links, xattrs })
}

fn symlink(cursor: &mut Cursor<'_>, extended: bool) -> Result<Read, Stop> {
    let (links, length) = (cursor.u32()?, cursor.u32()? as usize);
    if !(1..MAX_PATH_BYTES).contains(&length) {
        return Err(cursor.damaged("symlink"));
    }
    let kind = NodeKind::Symlink(cursor.vec(length)?);
    let xattrs = xattrs(cursor, extended)?;
    Ok(Read { kind, links, xattrs })
}

fn special(cursor: &mut Cursor<'_>, kind: u16, extended: bool) -> Result<Read, Stop> {
    let links = cursor.u32()?;
    let kind = match kind {
        CHAR_DEVICE => NodeKind::CharDevice(cursor.u32()?),
        BLOCK_DEVICE => NodeKind::BlockDevice(cursor.u32()?),
        _ => NodeKind::Fifo,
    };
    let xattrs = xattrs(cursor, extended)?;
    Ok(Read { kind, links, xattrs })
}

fn xattrs(cursor: &mut Cursor<'_>, extended: bool) -> Result<u32, Stop> {
    if extended { cursor.u32() } else { Ok(NO_SET) }
}
