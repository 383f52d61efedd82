//! The one tar parser: what it says an entry is, all the rest believes. Where formats leave room, it reads as Go's archive/tar does, which every
//! container tool uses; two tools that read one archive differently are how layers smuggle.

#[cfg(test)]
#[path = "../../tests/converter/archive.rs"]
mod archive;
mod entry;
mod header;
mod number;
mod pax;
mod reader;
#[cfg(test)]
mod reader_test;
mod sparse;

pub use entry::{Entry, Kind};
pub use reader::{Piece, Reader};

use crate::refuse::Stop;

/// Bytes that come in pieces.
pub trait Source {
    /// The next bytes, without using them up; none at the end.
    fn fill(&mut self) -> Result<&[u8], Stop>;
    fn consume(&mut self, count: usize);
}

#[cfg(test)]
impl Source for &[u8] {
    /// A few bytes at a time, so that every boundary falls into a piece.
    fn fill(&mut self) -> Result<&[u8], Stop> {
        Ok(&self[..self.len().min(7)])
    }

    fn consume(&mut self, count: usize) {
        *self = &self[count..];
    }
}
