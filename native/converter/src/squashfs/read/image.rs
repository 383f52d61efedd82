use super::metadata::{Cursor, Metadata};
use super::node::Node;
use super::xattrs::XattrTable;
use crate::attributes::{Attributes, Xattr};
use crate::refuse::Stop;
use crate::squashfs::superblock::{SUPERBLOCK_BYTES, Summary, decode};
use crate::squashfs::{BLOCK_BYTES, Fragment};
use crate::squashfs::{DATA_UNCOMPRESSED, METADATA_BYTES, Stored};
use crate::tree::NO_FRAGMENT;
use crate::xattr::NO_SET;
use std::fs::File;

const OWNER_BYTES: usize = 4;
const FRAGMENT_BYTES: usize = 16;

pub struct Image {
    pub metadata: Metadata,
    pub summary: Summary,
    xattrs: XattrTable,
}

impl Image {
    pub fn open(file: File, layer: usize) -> Result<Self, Stop> {
        let length = file.metadata().map_err(|error| Stop::io("layer of the store", &error))?.len();
        let metadata = Metadata::new(file, layer, length);
        let summary = decode(&metadata.array::<SUPERBLOCK_BYTES>(0)?).ok_or_else(|| metadata.damaged("superblock"))?;
        let xattrs = XattrTable::open(&metadata, summary.xattr_table)?;
        Ok(Self {
            metadata,
            summary,
            xattrs,
        })
    }

    pub fn root(&self) -> Result<Node, Stop> {
        self.node(self.summary.root)
    }

    /// `reference`: as listings and the superblock have it.
    pub fn node(&self, reference: u64) -> Result<Node, Stop> {
        let mut cursor = self.within(self.summary.inode_table, self.summary.directory_table, reference)?;
        Node::read(&mut cursor)
    }

    pub fn listing(&self, block: u32, offset: u16) -> Result<Cursor<'_>, Stop> {
        let reference = u64::from(block) << 16 | u64::from(offset);
        // The next table is not at a known position: the end of the file bounds it as well.
        self.within(self.summary.directory_table, u64::MAX, reference)
    }

    fn within(&self, table: u64, end: u64, reference: u64) -> Result<Cursor<'_>, Stop> {
        let block = table.checked_add(reference >> 16).filter(|block| *block < end);
        let block = block.ok_or_else(|| self.metadata.damaged("reference"))?;
        self.metadata.cursor(block, usize::from(reference as u16))
    }

    pub fn attributes(&self, node: &Node) -> Result<Attributes, Stop> {
        Ok(Attributes {
            mode: node.mode,
            uid: self.owner(node.uid)?,
            gid: self.owner(node.gid)?,
            mtime: node.mtime,
            xattrs: self.xattrs(node)?,
        })
    }

    pub fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>, Stop> {
        if node.xattrs == NO_SET {
            return Ok(Vec::new());
        }
        self.xattrs.set(&self.metadata, node.xattrs)
    }

    /// A block of small files.
    pub fn fragment(&self, index: u32) -> Result<Stored, Stop> {
        if index >= self.summary.fragments {
            return Err(self.metadata.damaged("fragment number"));
        }
        let mut entry = self.entry(self.summary.fragment_table, index as usize, FRAGMENT_BYTES)?;
        let fragment = Fragment {
            start: entry.u64()?,
            size: entry.u32()?,
        };
        self.stored(fragment.start, fragment.size)
    }

    /// Data as it lies in the file; `size` as block lists and fragments have it.
    pub fn stored(&self, start: u64, size: u32) -> Result<Stored, Stop> {
        let length = (size & !DATA_UNCOMPRESSED) as usize;
        if length > BLOCK_BYTES {
            return Err(self.metadata.damaged("size of a block"));
        }
        let mut bytes = vec![0; length];
        self.metadata.read(start, &mut bytes)?;
        Ok(Stored { size, bytes })
    }

    fn owner(&self, place: u16) -> Result<u32, Stop> {
        if place >= self.summary.owners {
            return Err(self.metadata.damaged("owner"));
        }
        self.entry(self.summary.owner_table, usize::from(place), OWNER_BYTES)?.u32()
    }

    /// Of a table that is found by the list of its blocks.
    fn entry(&self, list: u64, index: usize, bytes: usize) -> Result<Cursor<'_>, Stop> {
        table_entry(&self.metadata, list, index, bytes)
    }
}

pub fn table_entry(metadata: &Metadata, list: u64, index: usize, bytes: usize) -> Result<Cursor<'_>, Stop> {
    let per_block = METADATA_BYTES / bytes;
    let at = list.checked_add(8 * (index / per_block) as u64);
    let at = at.ok_or_else(|| metadata.damaged("table"))?;
    let block = u64::from_le_bytes(metadata.array(at)?);
    metadata.cursor(block, index % per_block * bytes)
}

/// A small file lies in one fragment, a larger one in blocks of its own.
pub fn lies_as_written(size: u64, fragment: u32) -> bool {
    (fragment != NO_FRAGMENT) == (1..BLOCK_BYTES as u64).contains(&size)
}
