use crate::FrameError;
use alloc::vec::Vec;
use prost::Message;

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

/// Comes before any allocation of that size.
pub(crate) fn frame_length(header: [u8; HEADER_BYTES]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(header) as usize;
    if length > MAX_FRAME_BYTES {
        Err(FrameError::TooLong(length))
    } else {
        Ok(length)
    }
}
