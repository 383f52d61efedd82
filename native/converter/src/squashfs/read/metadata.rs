use crate::refuse::{Reason, Stop};
use crate::squashfs::{METADATA_BYTES, METADATA_UNCOMPRESSED};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// Of one image; there may be hundreds.
const CACHED_BLOCKS: usize = 8;

/// A file, and the blocks of its tables that were read last.
pub struct Metadata {
    file: File,
    /// Its place among the layers, for messages.
    layer: usize,
    end: u64,
    cache: RefCell<HashMap<u64, Rc<Block>>>,
}

struct Block {
    bytes: Vec<u8>,
    next: u64,
}

/// Reads on through a table from any place in it.
pub struct Cursor<'a> {
    metadata: &'a Metadata,
    block: Rc<Block>,
    offset: usize,
}

impl Metadata {
    pub fn new(file: File, layer: usize, end: u64) -> Self {
        Self {
            file,
            layer,
            end,
            cache: RefCell::default(),
        }
    }

    pub fn damaged(&self, what: &str) -> Stop {
        Stop::Refused(
            Reason::ConversionFailed,
            format!("layer {} of the store: damaged {what}", self.layer + 1),
        )
    }

    /// Bytes as they lie in the file.
    pub fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), Stop> {
        if at.checked_add(bytes.len() as u64).is_none_or(|end| end > self.end) {
            return Err(self.damaged("position"));
        }
        self.file
            .read_exact_at(bytes, at)
            .map_err(|error| Stop::io("layer of the store", &error))
    }

    pub fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// `block`: its position in the file.
    pub fn cursor(&self, block: u64, offset: usize) -> Result<Cursor<'_>, Stop> {
        let block = self.block(block)?;
        if offset > block.bytes.len() {
            return Err(self.damaged("reference"));
        }
        Ok(Cursor {
            metadata: self,
            block,
            offset,
        })
    }

    fn block(&self, at: u64) -> Result<Rc<Block>, Stop> {
        if let Some(block) = self.cache.borrow().get(&at) {
            return Ok(block.clone());
        }
        let header = u16::from_le_bytes(self.array(at)?);
        let length = usize::from(header & !METADATA_UNCOMPRESSED);
        if !(1..=METADATA_BYTES).contains(&length) {
            return Err(self.damaged("metadata block"));
        }
        let mut stored = vec![0; length];
        self.read(at + 2, &mut stored)?;
        let bytes = if header & METADATA_UNCOMPRESSED == 0 {
            self.decompress(&stored)?
        } else {
            stored
        };
        let block = Rc::new(Block {
            bytes,
            next: at + 2 + length as u64,
        });
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHED_BLOCKS {
            cache.clear();
        }
        cache.insert(at, block.clone());
        Ok(block)
    }

    fn decompress(&self, stored: &[u8]) -> Result<Vec<u8>, Stop> {
        let mut bytes = vec![0; METADATA_BYTES];
        let length = lz4_flex::block::decompress_into(stored, &mut bytes).map_err(|_| self.damaged("metadata block"))?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

impl Cursor<'_> {
    pub fn read(&mut self, mut bytes: &mut [u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            if self.offset == self.block.bytes.len() {
                self.block = self.metadata.block(self.block.next)?;
                self.offset = 0;
                if self.block.bytes.is_empty() {
                    return Err(self.damaged("metadata block"));
                }
            }
            let step = bytes.len().min(self.block.bytes.len() - self.offset);
            let (now, later) = bytes.split_at_mut(step);
            now.copy_from_slice(&self.block.bytes[self.offset..][..step]);
            self.offset += step;
            bytes = later;
        }
        Ok(())
    }

    pub fn vec(&mut self, length: usize) -> Result<Vec<u8>, Stop> {
        let mut bytes = vec![0; length];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Stop> {
        let mut bytes = [0; 2];
        self.read(&mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    pub fn u32(&mut self) -> Result<u32, Stop> {
        let mut bytes = [0; 4];
        self.read(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub fn u64(&mut self) -> Result<u64, Stop> {
        let mut bytes = [0; 8];
        self.read(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub fn damaged(&self, what: &str) -> Stop {
        self.metadata.damaged(what)
    }
}
