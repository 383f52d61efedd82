//! Inodes as bytes. Each kind has a basic form, and an extended one for what does not fit.

use super::BLOCK_BYTES;
use super::directory::Listing;
use crate::tree::{Body, Content, Inode, NO_FRAGMENT};
use crate::xattr::NO_SET;

pub const DIRECTORY: u16 = 1;
pub const FILE: u16 = 2;
pub const SYMLINK: u16 = 3;
pub const BLOCK_DEVICE: u16 = 4;
pub const CHAR_DEVICE: u16 = 5;
pub const FIFO: u16 = 6;
/// From a basic form to its extended one.
pub const EXTENDED: u16 = 7;

/// What an inode has beside what the tree says.
pub struct Facts {
    pub number: u32,
    pub links: u32,
}

/// Of the basic form, as listings have it.
pub fn kind(body: &Body) -> u16 {
    match body {
        Body::Directory { .. } => DIRECTORY,
        Body::File(_) => FILE,
        Body::Symlink(_) => SYMLINK,
        Body::BlockDevice(_) => BLOCK_DEVICE,
        Body::CharDevice(_) | Body::Whiteout => CHAR_DEVICE,
        Body::Fifo => FIFO,
    }
}

pub fn directory(inode: &Inode, facts: &Facts, parent: u32, listing: &Listing) -> Vec<u8> {
    // The kernel counts `.` and `..` as three bytes.
    let size = listing.bytes + 3;
    let xattrs = inode.meta.xattrs;
    let extended = xattrs != NO_SET || listing.index_count > 0 || size > u32::from(u16::MAX);
    let mut bytes = head(inode, facts, extended);
    if extended {
        put(&mut bytes, &[facts.links, size, listing.position.block, parent]);
        bytes.extend(listing.index_count.to_le_bytes());
        bytes.extend(listing.position.offset.to_le_bytes());
        put(&mut bytes, &[xattrs]);
        bytes.extend(&listing.index);
    } else {
        put(&mut bytes, &[listing.position.block, facts.links]);
        bytes.extend((size as u16).to_le_bytes());
        bytes.extend(listing.position.offset.to_le_bytes());
        put(&mut bytes, &[parent]);
    }
    bytes
}

pub fn file(inode: &Inode, facts: &Facts, content: &Content, block_sizes: &[u32]) -> Vec<u8> {
    let basic = u32::try_from(content.start).ok().zip(u32::try_from(content.size).ok());
    let basic = basic.filter(|_| facts.links == 1 && inode.meta.xattrs == NO_SET);
    let mut bytes = head(inode, facts, basic.is_none());
    match basic {
        Some((start, size)) => put(&mut bytes, &[start, content.fragment, content.fragment_offset, size]),
        None => {
            for long in [content.start, content.size, 0] {
                bytes.extend(long.to_le_bytes());
            }
            put(
                &mut bytes,
                &[facts.links, content.fragment, content.fragment_offset, inode.meta.xattrs],
            );
        }
    }
    put(&mut bytes, &block_sizes[content.first_block as usize..][..blocks(content)]);
    bytes
}

pub fn symlink(inode: &Inode, facts: &Facts, target: &[u8]) -> Vec<u8> {
    let extended = inode.meta.xattrs != NO_SET;
    let mut bytes = head(inode, facts, extended);
    put(&mut bytes, &[facts.links, target.len() as u32]);
    bytes.extend(target);
    if extended {
        put(&mut bytes, &[inode.meta.xattrs]);
    }
    bytes
}

/// `number` for devices only.
pub fn special(inode: &Inode, facts: &Facts, number: Option<u32>) -> Vec<u8> {
    let extended = inode.meta.xattrs != NO_SET;
    let mut bytes = head(inode, facts, extended);
    put(&mut bytes, &[facts.links]);
    put(&mut bytes, number.as_slice());
    if extended {
        put(&mut bytes, &[inode.meta.xattrs]);
    }
    bytes
}

fn head(inode: &Inode, facts: &Facts, extended: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let kind = kind(&inode.body) + if extended { EXTENDED } else { 0 };
    for half in [kind, inode.meta.mode, inode.meta.uid, inode.meta.gid] {
        bytes.extend(half.to_le_bytes());
    }
    put(&mut bytes, &[inode.meta.mtime, facts.number]);
    bytes
}

fn put(bytes: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
}

fn blocks(content: &Content) -> usize {
    if content.fragment == NO_FRAGMENT {
        content.size.div_ceil(BLOCK_BYTES as u64) as usize
    } else {
        0
    }
}
