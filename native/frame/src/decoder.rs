use crate::FrameError;
use crate::codec::{HEADER_BYTES, frame_length};
use alloc::vec::Vec;
use core::marker::PhantomData;
use prost::Message;

/// A buffer larger than this is given back when it is empty, so that one large frame does not stay resident.
const KEPT_BYTES: usize = 16 << 10;

/// Takes a byte stream in pieces of any size, gives whole messages: `push`, then `pull` until `None`.
/// After an error the stream has no known position any more: every later `pull` fails as well.
pub struct Decoder<T> {
    buffer: Vec<u8>,
    start: usize,
    message: PhantomData<T>,
}

impl<T: Message + Default> Decoder<T> {
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            message: PhantomData,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.compact();
        self.buffer.extend_from_slice(bytes);
    }

    pub fn pull(&mut self) -> Result<Option<T>, FrameError> {
        let pending = &self.buffer[self.start..];
        let Some(header) = pending.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let end = HEADER_BYTES + frame_length(*header)?;
        let Some(body) = pending.get(HEADER_BYTES..end) else {
            return Ok(None);
        };
        let message = T::decode(body)?;
        self.start += end;
        Ok(Some(message))
    }

    /// True between frames: where a stream may end.
    pub fn at_boundary(&self) -> bool {
        self.start == self.buffer.len()
    }

    #[cfg(any(test, feature = "harness"))]
    pub(crate) fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn compact(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
    }
}

impl<T: Message + Default> Default for Decoder<T> {
    fn default() -> Self {
        Self::new()
    }
}
