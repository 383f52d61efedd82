use super::{BLOCK_BYTES, DATA_UNCOMPRESSED, Output, compress, superblock};
use crate::refuse::Stop;
use crate::tree::{Content, NO_FRAGMENT};

/// A block of small files together.
pub struct Fragment {
    pub start: u64,
    pub size: u32,
}

/// A block or fragment as it lies in an image; `size` with the mark of what is not compressed.
pub struct Stored {
    pub size: u32,
    pub bytes: Vec<u8>,
}

/// What the inodes need of the data, once it is all written.
pub struct Data {
    /// Sizes of all files' blocks, one file after the other; 0 is a block of zeros that takes no room.
    pub block_sizes: Vec<u32>,
    pub fragments: Vec<Fragment>,
}

pub struct DataWriter {
    output: Output,
    data: Data,
    block: Vec<u8>,
    fragment: Vec<u8>,
    room: Vec<u8>,
    max_bytes: u64,
    /// With their holes: a few bytes of archive can stand for terabytes, and their block lists for memory.
    file_bytes: u64,
}

/// A file on its way out.
pub struct FileWriter<'a> {
    writer: &'a mut DataWriter,
    content: Content,
    written: u64,
}

impl DataWriter {
    pub fn new(mut output: Output, max_bytes: u64) -> Result<Self, Stop> {
        output.write(&superblock::placeholder())?;
        let data = Data {
            block_sizes: Vec::new(),
            fragments: Vec::new(),
        };
        let (block, fragment) = (Vec::with_capacity(BLOCK_BYTES), Vec::with_capacity(BLOCK_BYTES));
        Ok(Self {
            output,
            data,
            block,
            fragment,
            room: Vec::new(),
            max_bytes,
            file_bytes: 0,
        })
    }

    pub fn file(&mut self, size: u64) -> Result<FileWriter<'_>, Stop> {
        let mut content = self.begin(size)?;
        if (1..BLOCK_BYTES as u64).contains(&size) {
            if self.fragment.len() as u64 + size > BLOCK_BYTES as u64 {
                self.flush_fragment()?;
            }
            (content.start, content.fragment) = (0, self.data.fragments.len() as u32);
            content.fragment_offset = self.fragment.len() as u32;
        }
        Ok(FileWriter {
            writer: self,
            content,
            written: 0,
        })
    }

    /// A file by its blocks in another image: nothing is compressed again.
    pub fn stored_file(&mut self, size: u64, blocks: impl Iterator<Item = Result<Stored, Stop>>) -> Result<Content, Stop> {
        let content = self.begin(size)?;
        for block in blocks {
            let Stored { size, bytes } = block?;
            self.data.block_sizes.push(size);
            self.output.write(&bytes)?;
        }
        Ok(content)
    }

    /// Gives its number; files in it follow by `part_of_fragment`.
    pub fn stored_fragment(&mut self, stored: &Stored) -> Result<u32, Stop> {
        let (start, size) = (self.output.position(), stored.size);
        self.output.write(&stored.bytes)?;
        self.data.fragments.push(Fragment { start, size });
        Ok(self.data.fragments.len() as u32 - 1)
    }

    pub fn part_of_fragment(&mut self, size: u64, fragment: u32, fragment_offset: u32) -> Result<Content, Stop> {
        Ok(Content {
            start: 0,
            fragment,
            fragment_offset,
            ..self.begin(size)?
        })
    }

    /// Of all files so far, holes included.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    fn begin(&mut self, size: u64) -> Result<Content, Stop> {
        self.file_bytes = self.file_bytes.saturating_add(size);
        if self.file_bytes > self.max_bytes {
            return Err(Stop::too_large(format!(
                "files of the layer, their holes included, have more than {} bytes",
                self.max_bytes
            )));
        }
        Ok(Content {
            size,
            start: self.output.position(),
            first_block: self.data.block_sizes.len() as u32,
            fragment: NO_FRAGMENT,
            fragment_offset: 0,
        })
    }

    pub fn finish(mut self) -> Result<(Output, Data), Stop> {
        self.flush_fragment()?;
        Ok((self.output, self.data))
    }

    fn flush_fragment(&mut self) -> Result<(), Stop> {
        if self.fragment.is_empty() {
            return Ok(());
        }
        let start = self.output.position();
        let size = store(&mut self.output, &self.fragment, &mut self.room)?;
        self.data.fragments.push(Fragment { start, size });
        self.fragment.clear();
        Ok(())
    }

    fn flush_block(&mut self) -> Result<(), Stop> {
        let size = if self.block.iter().all(|&byte| byte == 0) {
            0
        } else {
            store(&mut self.output, &self.block, &mut self.room)?
        };
        self.data.block_sizes.push(size);
        self.block.clear();
        Ok(())
    }
}

impl FileWriter<'_> {
    pub fn data(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        self.written += bytes.len() as u64;
        if self.content.fragment != NO_FRAGMENT {
            self.writer.fragment.extend_from_slice(bytes);
            return Ok(());
        }
        while !bytes.is_empty() {
            let step = bytes.len().min(BLOCK_BYTES - self.writer.block.len());
            self.writer.block.extend_from_slice(&bytes[..step]);
            bytes = &bytes[step..];
            if self.writer.block.len() == BLOCK_BYTES {
                self.writer.flush_block()?;
            }
        }
        Ok(())
    }

    pub fn hole(&mut self, mut length: u64) -> Result<(), Stop> {
        static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        while length > 0 {
            let room = BLOCK_BYTES - self.writer.block.len();
            if room == BLOCK_BYTES && length >= BLOCK_BYTES as u64 {
                self.writer.data.block_sizes.push(0);
                self.written += BLOCK_BYTES as u64;
                length -= BLOCK_BYTES as u64;
                continue;
            }
            let step = length.min(room as u64);
            self.data(&ZEROS[..step as usize])?;
            length -= step;
        }
        Ok(())
    }

    pub fn finish(self) -> Result<Content, Stop> {
        debug_assert_eq!(self.written, self.content.size);
        if !self.writer.block.is_empty() {
            self.writer.flush_block()?;
        }
        Ok(self.content)
    }
}

fn store(output: &mut Output, bytes: &[u8], room: &mut Vec<u8>) -> Result<u32, Stop> {
    match compress(bytes, room) {
        Some(smaller) => {
            output.write(smaller)?;
            Ok(smaller.len() as u32)
        }
        None => {
            output.write(bytes)?;
            Ok(bytes.len() as u32 | DATA_UNCOMPRESSED)
        }
    }
}
