use crate::refuse::Stop;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// A file that grows at its end.
pub struct Output {
    file: File,
    name: &'static str,
    position: u64,
}

impl Output {
    pub fn new(file: File, name: &'static str) -> Self {
        Self { file, name, position: 0 }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.file.write_all(bytes).map_err(|error| Stop::io(self.name, &error))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// For the superblock, which is first in the file and known last.
    pub fn write_at_start(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.file.write_all_at(bytes, 0).map_err(|error| Stop::io(self.name, &error))
    }

    pub fn append(&mut self, mut other: Output) -> Result<(), Stop> {
        let failed = |error| Stop::io(other.name, &error);
        other.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut buffer = vec![0; 128 << 10];
        let mut left = other.position;
        while left > 0 {
            let step = left.min(buffer.len() as u64) as usize;
            other.file.read_exact(&mut buffer[..step]).map_err(failed)?;
            self.write(&buffer[..step])?;
            left -= step as u64;
        }
        Ok(())
    }
}
