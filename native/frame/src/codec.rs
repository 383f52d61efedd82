use crate::FrameError;
use prost::Message;
use std::io::{ErrorKind, Read, Write};

pub const HEADER_BYTES: usize = 4;
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// Header and message in one buffer, so that a frame is one write.
pub fn encode_frame(message: &impl Message) -> Result<Vec<u8>, FrameError> {
    let length = message.encoded_len();
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(length));
    }
    let mut frame = Vec::with_capacity(HEADER_BYTES + length);
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    message.encode(&mut frame).expect("a Vec grows");
    Ok(frame)
}

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

/// Comes before any allocation of that size.
pub(crate) fn frame_length(header: [u8; HEADER_BYTES]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(header) as usize;
    if length > MAX_FRAME_BYTES {
        Err(FrameError::TooLong(length))
    } else {
        Ok(length)
    }
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
