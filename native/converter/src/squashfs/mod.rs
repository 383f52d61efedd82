//! Writes squashfs 4.0, and reads what it wrote. File data goes out while the layer comes in; inodes, directories and tables follow once the whole tree is known.
//!
//! Our own writer, for no tool takes a hostile layer: tar2sqfs needs quadratic time for a large directory (40,000 names: 19 s) and 253 MB for a
//! million entries, and sqfstar keeps the first of two entries of one name.

mod data;
mod directory;
mod inode;
mod metadata;
mod output;
mod read;
mod superblock;
mod tables;
mod write;

pub use data::{DataWriter, Fragment, Stored};
pub use output::Output;
pub use read::{Child, FilePlace, Image, Listing, Node, NodeKind};
pub use write::write;

/// Of file data. Larger ones compress no better with LZ4, and make small reads slower.
pub const BLOCK_BYTES: usize = 128 << 10;
const BLOCK_LOG: u16 = 17;

const METADATA_BYTES: usize = 8192;

/// In the size of a data block, and of a metadata block: stored as it is.
const DATA_UNCOMPRESSED: u32 = 1 << 24;
const METADATA_UNCOMPRESSED: u16 = 1 << 15;

/// LZ4: with it a first run on a cold image is a fifth faster than with zstd at its fastest, and the conversion is too; the price is a quarter more
/// disk. `None`: it would not get smaller.
fn compress<'a>(input: &[u8], room: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    room.resize(lz4_flex::block::get_maximum_output_size(input.len()), 0);
    let length = lz4_flex::block::compress_into(input, room).expect("the room is for the worst case");
    (length < input.len()).then(|| &room[..length])
}
