//! The listing of one directory.

use super::METADATA_BYTES;
use super::metadata::{MetadataWriter, Position};
use crate::refuse::Stop;
use std::ops::Range;

pub const HEADER_BYTES: usize = 12;
pub const ENTRY_BYTES: usize = 8;
pub const MAX_RUN: usize = 256;

/// A name in a listing.
pub struct Listed<'a> {
    pub name: &'a [u8],
    pub reference: u64,
    pub number: u32,
    pub kind: u16,
}

pub struct Listing {
    pub position: Position,
    pub bytes: u32,
    /// As it goes into the directory's inode: for lookups in large directories.
    pub index: Vec<u8>,
    pub index_count: u16,
}

/// `entry` gives the names in order. They go in runs: entries of a run have their inodes in one metadata block and near each other. A
/// run also ends with its own metadata block, so that the index can lead to each block.
pub fn write_listing<'a>(table: &mut MetadataWriter, count: usize, entry: impl Fn(usize) -> Listed<'a>) -> Result<Listing, Stop> {
    let mut listing = Listing {
        position: table.position(),
        bytes: 0,
        index: Vec::new(),
        index_count: 0,
    };
    let mut indexed = listing.position.block;
    let mut at = 0;
    while at < count {
        let first = entry(at);
        let position = table.position();
        if position.block != indexed && listing.index_count < u16::MAX {
            indexed = position.block;
            append_index(&mut listing, position.block, first.name);
        }
        let run = run(&entry, at..count, position);
        let bytes = encode_run(&entry, at..at + run);
        table.write(&bytes)?;
        listing.bytes += bytes.len() as u32;
        at += run;
    }
    Ok(listing)
}

fn run<'a>(entry: &impl Fn(usize) -> Listed<'a>, range: Range<usize>, position: Position) -> usize {
    let first = entry(range.start);
    let mut end = usize::from(position.offset) + HEADER_BYTES;
    let mut length = 0;
    for listed in range.map(entry).take(MAX_RUN) {
        end += ENTRY_BYTES + listed.name.len();
        let near = i16::try_from(i64::from(listed.number) - i64::from(first.number)).is_ok();
        let together = near && listed.reference >> 16 == first.reference >> 16 && end <= METADATA_BYTES;
        // The first one always goes, also over the edge of a block.
        if length > 0 && !together {
            break;
        }
        length += 1;
    }
    length
}

fn encode_run<'a>(entry: &impl Fn(usize) -> Listed<'a>, range: Range<usize>) -> Vec<u8> {
    let first = entry(range.start);
    let mut bytes = Vec::new();
    bytes.extend((range.len() as u32 - 1).to_le_bytes());
    bytes.extend(((first.reference >> 16) as u32).to_le_bytes());
    bytes.extend(first.number.to_le_bytes());
    for listed in range.map(entry) {
        bytes.extend((listed.reference as u16).to_le_bytes());
        bytes.extend((listed.number.wrapping_sub(first.number) as u16).to_le_bytes());
        bytes.extend(listed.kind.to_le_bytes());
        bytes.extend((listed.name.len() as u16 - 1).to_le_bytes());
        bytes.extend(listed.name);
    }
    bytes
}

fn append_index(listing: &mut Listing, block: u32, name: &[u8]) {
    listing.index_count += 1;
    listing.index.extend(listing.bytes.to_le_bytes());
    listing.index.extend(block.to_le_bytes());
    listing.index.extend((name.len() as u32 - 1).to_le_bytes());
    listing.index.extend(name);
}
