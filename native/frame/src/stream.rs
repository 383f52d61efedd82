//! Frames from and to whatever std reads and writes.
use crate::FrameError;
use crate::codec::{HEADER_BYTES, encode_frame, frame_length};
use prost::Message;
use std::io::{ErrorKind, Read, Write};

pub fn write_frame(stream: &mut impl Write, message: &impl Message) -> Result<(), FrameError> {
    stream.write_all(&encode_frame(message)?)?;
    Ok(())
}

/// Waits for one frame; `None` when the stream ended between frames.
pub fn read_frame<T: Message + Default>(stream: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    match fill(stream, &mut header)? {
        0 => return Ok(None),
        HEADER_BYTES => {}
        _ => return Err(FrameError::Truncated),
    }
    let length = frame_length(header)?;
    let mut body = vec![0; length];
    if fill(stream, &mut body)? < length {
        return Err(FrameError::Truncated);
    }
    Ok(Some(T::decode(body.as_slice())?))
}

/// Like `read_exact`, but an end of the stream tells how far it came.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> Result<usize, FrameError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}
