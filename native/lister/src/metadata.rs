//! Tables of a squashfs image: bytes in compressed blocks of 8 KiB.

use crate::Stop;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

const BLOCK_BYTES: usize = 8192;
const UNCOMPRESSED: u16 = 1 << 15;
/// Inodes and listings are read nearly in order.
const KEPT: usize = 64;

#[derive(Clone)]
struct Block {
    bytes: Rc<[u8]>,
    next: u64,
}

pub struct Metadata {
    file: File,
    kept: HashMap<u64, Block>,
}

/// A place in a table: its block by the position in the file, and the offset in the uncompressed block.
#[derive(Clone, Copy)]
pub struct Cursor {
    pub block: u64,
    pub offset: usize,
}

impl Metadata {
    pub fn new(file: File) -> Self {
        Self {
            file,
            kept: HashMap::new(),
        }
    }

    /// The next bytes of a table, over the ends of its blocks.
    pub fn take(&mut self, cursor: &mut Cursor, count: usize) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            let block = self.block(cursor.block)?;
            let rest = block.bytes.get(cursor.offset..).unwrap_or_default();
            let step = rest.len().min(count - bytes.len());
            bytes.extend_from_slice(&rest[..step]);
            cursor.offset += step;
            if cursor.offset >= block.bytes.len() {
                *cursor = Cursor {
                    block: block.next,
                    offset: cursor.offset - block.bytes.len(),
                };
            }
        }
        Ok(bytes)
    }

    /// As they are in the file.
    pub fn raw<const N: usize>(&self, position: u64) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.read(&mut bytes, position)?;
        Ok(bytes)
    }

    fn block(&mut self, position: u64) -> Result<Block, Stop> {
        if let Some(block) = self.kept.get(&position) {
            return Ok(block.clone());
        }
        if self.kept.len() >= KEPT {
            self.kept.clear();
        }
        let block = self.read_block(position)?;
        self.kept.insert(position, block.clone());
        Ok(block)
    }

    fn read_block(&self, position: u64) -> Result<Block, Stop> {
        let header = u16::from_le_bytes(self.raw(position)?);
        let length = usize::from(header & !UNCOMPRESSED);
        if !(1..=BLOCK_BYTES).contains(&length) {
            return Err(Stop::Broken(format!("a table's block of {length} bytes")));
        }
        let mut stored = vec![0; length];
        self.read(&mut stored, position + 2)?;
        let bytes = if header & UNCOMPRESSED == 0 {
            decompress(&stored)?
        } else {
            stored
        };
        if bytes.is_empty() {
            return Err(Stop::Broken("an empty block of a table".into()));
        }
        Ok(Block {
            bytes: bytes.into(),
            next: position + 2 + length as u64,
        })
    }

    fn read(&self, bytes: &mut [u8], position: u64) -> Result<(), Stop> {
        self.file
            .read_exact_at(bytes, position)
            .map_err(|error| Stop::Broken(format!("at byte {position}: {error}")))
    }
}

fn decompress(stored: &[u8]) -> Result<Vec<u8>, Stop> {
    let mut bytes = vec![0; BLOCK_BYTES];
    let length = lz4_flex::block::decompress_into(stored, &mut bytes).map_err(|error| Stop::Broken(error.to_string()))?;
    bytes.truncate(length);
    Ok(bytes)
}
