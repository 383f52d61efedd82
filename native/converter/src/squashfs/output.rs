use crate::refuse::Stop;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// So much at a time goes to disk while the rest is made: whoever publishes the file waits for its end alone.
const WRITE_BACK_BYTES: u64 = 8 << 20;

/// A file that grows at its end.
pub struct Output {
    file: File,
    name: &'static str,
    position: u64,
    /// Where the next part begins that goes to disk; none of what nobody keeps.
    written_back: Option<u64>,
}

impl Output {
    pub fn new(file: File, name: &'static str) -> Self {
        Self {
            file,
            name,
            position: 0,
            written_back: None,
        }
    }

    pub fn to_keep(file: File, name: &'static str) -> Self {
        Self {
            written_back: Some(0),
            ..Self::new(file, name)
        }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.file.write_all(bytes).map_err(|error| Stop::io(self.name, &error))?;
        self.position += bytes.len() as u64;
        if let Some(from) = self.written_back
            && self.position - from >= WRITE_BACK_BYTES
        {
            self.write_back(from);
        }
        Ok(())
    }

    /// Only a beginning: what cannot be written is told by the one who waits for it.
    fn write_back(&mut self, from: u64) {
        // SAFETY: starts to write a range of a file that is open; no memory is touched.
        unsafe {
            libc::sync_file_range(
                self.file.as_raw_fd(),
                from as i64,
                (self.position - from) as i64,
                libc::SYNC_FILE_RANGE_WRITE,
            )
        };
        self.written_back = Some(self.position);
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
