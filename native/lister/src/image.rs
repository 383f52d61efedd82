//! A squashfs image as the converter writes it: its inodes and listings, and of attributes the one that makes a directory opaque.

use crate::Stop;
use crate::metadata::{Cursor, Metadata};
use std::collections::HashMap;
use std::fs::File;

const MAGIC: u32 = 0x7371_7368;
const LZ4: u16 = 5;
const NO_SET: u32 = u32::MAX;
/// From a basic form of an inode to its extended one.
const EXTENDED: u16 = 7;
const DIRECTORY: u16 = 1;
const FILE: u16 = 2;
const CHAR_DEVICE: u16 = 5;
const TRUSTED: u16 = 1;
const OPAQUE: &[u8] = b"overlay.opaque";
const MAX_ATTRIBUTES: u32 = 1_024;
const MAX_VALUE_BYTES: u32 = 128 << 10;

pub struct Image {
    metadata: Metadata,
    pub root: u64,
    inodes: u64,
    directories: u64,
    attributes: Option<Attributes>,
    /// By set of attributes.
    opaque: HashMap<u32, bool>,
}

struct Attributes {
    sets: u64,
    count: u32,
    /// Position of the list of blocks, which say where each set is.
    list: u64,
}

pub enum Node {
    Directory(Directory),
    File { number: u32, bytes: u64, links: u32 },
    Whiteout,
    Other,
}

pub struct Directory {
    listing: Cursor,
    bytes: u32,
    pub opaque: bool,
}

/// One name of a directory.
pub struct Entry {
    pub name: Vec<u8>,
    pub inode: u64,
}

impl Image {
    pub fn open(file: File) -> Result<Self, Stop> {
        let metadata = Metadata::new(file);
        let superblock: [u8; 96] = metadata.raw(0)?;
        let long = |at: usize| u64::from_le_bytes(superblock[at..at + 8].try_into().expect("eight bytes"));
        if word(&superblock, 0) != MAGIC || half(&superblock, 20) != LZ4 || half(&superblock, 28) != 4 {
            return Err(Stop::Broken("no squashfs 4.0 with LZ4".into()));
        }
        let mut image = Self {
            root: long(32),
            inodes: long(64),
            directories: long(72),
            attributes: None,
            opaque: HashMap::new(),
            metadata,
        };
        image.attributes = image.attributes_at(long(56))?;
        Ok(image)
    }

    pub fn node(&mut self, reference: u64) -> Result<Node, Stop> {
        let mut cursor = Cursor {
            block: self.inodes.saturating_add(reference >> 16),
            offset: (reference & 0xffff) as usize,
        };
        let head = self.metadata.take(&mut cursor, 16)?;
        let (kind, number) = (half(&head, 0), word(&head, 12));
        let extended = kind > EXTENDED;
        match if extended { kind - EXTENDED } else { kind } {
            DIRECTORY => self.directory(&mut cursor, extended).map(Node::Directory),
            FILE => self.file(&mut cursor, extended, number),
            CHAR_DEVICE => {
                let rest = self.metadata.take(&mut cursor, 8)?;
                Ok(if word(&rest, 4) == 0 { Node::Whiteout } else { Node::Other })
            }
            _ => Ok(Node::Other),
        }
    }

    /// Its names, in their order.
    pub fn entries(&mut self, directory: &Directory) -> Result<Vec<Entry>, Stop> {
        let mut cursor = directory.listing;
        // The kernel counts `.` and `..` as three bytes.
        let mut left = directory.bytes.saturating_sub(3) as usize;
        let mut entries = Vec::new();
        while left > 0 {
            let run = self.metadata.take(&mut cursor, 12)?;
            let mut used = 12;
            let (count, block) = (word(&run, 0), word(&run, 4));
            for _ in 0..=count.min(255) {
                let entry = self.metadata.take(&mut cursor, 8)?;
                let name = self.metadata.take(&mut cursor, usize::from(half(&entry, 6)) + 1)?;
                used += 8 + name.len();
                let inode = u64::from(block) << 16 | u64::from(half(&entry, 0));
                entries.push(Entry { name, inode });
            }
            left = left.saturating_sub(used);
        }
        Ok(entries)
    }

    fn directory(&mut self, cursor: &mut Cursor, extended: bool) -> Result<Directory, Stop> {
        let (block, bytes, offset, set) = if extended {
            let rest = self.metadata.take(cursor, 24)?;
            (word(&rest, 8), word(&rest, 4), half(&rest, 18), word(&rest, 20))
        } else {
            let rest = self.metadata.take(cursor, 16)?;
            (word(&rest, 0), u32::from(half(&rest, 8)), half(&rest, 10), NO_SET)
        };
        let listing = Cursor {
            block: self.directories.saturating_add(u64::from(block)),
            offset: usize::from(offset),
        };
        let opaque = self.is_opaque(set)?;
        Ok(Directory { listing, bytes, opaque })
    }

    fn file(&mut self, cursor: &mut Cursor, extended: bool, number: u32) -> Result<Node, Stop> {
        if !extended {
            let rest = self.metadata.take(cursor, 16)?;
            let bytes = u64::from(word(&rest, 12));
            return Ok(Node::File { number, bytes, links: 1 });
        }
        let rest = self.metadata.take(cursor, 28)?;
        let bytes = u64::from(word(&rest, 8)) | u64::from(word(&rest, 12)) << 32;
        let links = word(&rest, 24);
        Ok(Node::File { number, bytes, links })
    }

    fn attributes_at(&self, head: u64) -> Result<Option<Attributes>, Stop> {
        if head == u64::MAX {
            return Ok(None);
        }
        let bytes: [u8; 16] = self.metadata.raw(head)?;
        Ok(Some(Attributes {
            sets: u64::from(word(&bytes, 0)) | u64::from(word(&bytes, 4)) << 32,
            count: word(&bytes, 8),
            list: head + 16,
        }))
    }

    fn is_opaque(&mut self, set: u32) -> Result<bool, Stop> {
        if let Some(known) = self.opaque.get(&set) {
            return Ok(*known);
        }
        let found = self.find_opaque(set)?;
        self.opaque.insert(set, found);
        Ok(found)
    }

    fn find_opaque(&mut self, set: u32) -> Result<bool, Stop> {
        let Some(Attributes { sets, list, .. }) = self.attributes.as_ref().filter(|all| set < all.count) else {
            return Ok(false);
        };
        let (sets, list) = (*sets, *list);
        // 512 places of 16 bytes to a block.
        let block = u64::from_le_bytes(self.metadata.raw(list + u64::from(set / 512) * 8)?);
        let mut place = Cursor {
            block,
            offset: (set % 512) as usize * 16,
        };
        let place = self.metadata.take(&mut place, 16)?;
        let mut cursor = Cursor {
            block: sets.saturating_add(u64::from(word(&place, 2)) | u64::from(half(&place, 6)) << 32),
            offset: usize::from(half(&place, 0)),
        };
        for _ in 0..word(&place, 8).min(MAX_ATTRIBUTES) {
            let head = self.metadata.take(&mut cursor, 4)?;
            let name = self.metadata.take(&mut cursor, usize::from(half(&head, 2)))?;
            let length = word(&self.metadata.take(&mut cursor, 4)?, 0).min(MAX_VALUE_BYTES);
            self.metadata.take(&mut cursor, length as usize)?;
            if half(&head, 0) == TRUSTED && name == OPAQUE {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at)) | u32::from(half(bytes, at + 2)) << 16
}
