use super::{METADATA_BYTES, METADATA_UNCOMPRESSED, Output, compress};
use crate::refuse::Stop;

/// Where something begins in a table: its block by the position from the table's start, and the offset in the uncompressed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub block: u32,
    pub offset: u16,
}

impl Position {
    /// As one number, the way squashfs refers to inodes.
    pub fn reference(self) -> u64 {
        u64::from(self.block) << 16 | u64::from(self.offset)
    }
}

/// A table: bytes in compressed blocks of 8 KiB.
pub struct MetadataWriter<'a> {
    output: &'a mut Output,
    start: u64,
    buffer: Vec<u8>,
    room: Vec<u8>,
    blocks: Vec<u64>,
}

impl<'a> MetadataWriter<'a> {
    pub fn new(output: &'a mut Output) -> Self {
        let start = output.position();
        Self {
            output,
            start,
            buffer: Vec::with_capacity(METADATA_BYTES),
            room: Vec::new(),
            blocks: Vec::new(),
        }
    }

    pub fn position(&self) -> Position {
        Position {
            block: (self.output.position() - self.start) as u32,
            offset: self.buffer.len() as u16,
        }
    }

    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let step = bytes.len().min(METADATA_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(&bytes[..step]);
            bytes = &bytes[step..];
            if self.buffer.len() == METADATA_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// The positions of its blocks in the file.
    pub fn finish(mut self) -> Result<Vec<u64>, Stop> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        Ok(self.blocks)
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.blocks.push(self.output.position());
        let (header, bytes) = match compress(&self.buffer, &mut self.room) {
            Some(smaller) => (smaller.len() as u16, smaller),
            None => (self.buffer.len() as u16 | METADATA_UNCOMPRESSED, self.buffer.as_slice()),
        };
        self.output.write(&header.to_le_bytes())?;
        self.output.write(bytes)?;
        self.buffer.clear();
        Ok(())
    }
}
