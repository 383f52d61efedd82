//! What waits to be sent. At most one chunk of output is in it, so that a flood holds up other frames by no more than that.
use alloc::{vec, vec::Vec};
use caisson_frame::agent::{AgentFrame, Stream, agent_frame::Frame};
use caisson_frame::encode_frame;
use core::ops::Range;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// The contract's bound on `Output.data`.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Enough for the header of any output frame: 4 bytes, 5 keys and 5 numbers.
const HEADER_ROOM: usize = 64;

#[derive(Default)]
pub struct Outbox {
    /// Room for a header, then the chunk: output is read to where it is sent from.
    buffer: Vec<u8>,
    chunk: Range<usize>,
    frames: Vec<u8>,
    sent: usize,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.chunk.is_empty() && self.frames.is_empty()
    }

    /// Bytes of frames other than output.
    pub fn backlog(&self) -> usize {
        self.frames.len()
    }

    pub fn push(&mut self, frame: Frame) {
        let bytes = encode_frame(&AgentFrame { frame: Some(frame) }).expect("the agent's own frames are small");
        self.frames.extend_from_slice(&bytes);
    }

    /// Where the next chunk of output is to be read to; only while the outbox is empty.
    pub fn chunk_buffer(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            // Zeroed by the kernel, page by page, as far as output ever fills it.
            self.buffer = vec![0; HEADER_ROOM + CHUNK_BYTES];
        }
        &mut self.buffer[HEADER_ROOM..]
    }

    /// Sends the first `length` bytes of the chunk buffer.
    pub fn push_chunk(&mut self, process_id: u32, stream: Stream, offset: u64, length: usize) {
        let header = output_header(process_id, stream, offset, length);
        let start = HEADER_ROOM - header.len();
        self.buffer[start..HEADER_ROOM].copy_from_slice(&header);
        self.chunk = start..HEADER_ROOM + length;
    }

    /// As much as the channel takes now.
    pub fn flush(&mut self, channel: BorrowedFd<'_>) -> Result<(), Errno> {
        while !self.chunk.is_empty() {
            match write(channel, &self.buffer[self.chunk.clone()])? {
                Some(count) => self.chunk.start += count,
                None => return Ok(()),
            }
        }
        while self.sent < self.frames.len() {
            match write(channel, &self.frames[self.sent..])? {
                Some(count) => self.sent += count,
                None => return Ok(()),
            }
        }
        self.frames.clear();
        self.sent = 0;
        Ok(())
    }
}

fn write(channel: BorrowedFd<'_>, bytes: &[u8]) -> Result<Option<usize>, Errno> {
    match rustix::io::write(channel, bytes) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN) => Ok(None),
        Err(Errno::INTR) => Ok(Some(0)),
        Err(errno) => Err(errno),
    }
}

/// All of an output frame but its data, which is the last field and so just follows.
fn output_header(process_id: u32, stream: Stream, offset: u64, length: usize) -> Vec<u8> {
    let mut fields = Vec::with_capacity(HEADER_ROOM);
    for (tag, value) in [(1, u64::from(process_id)), (2, stream as u64), (3, offset)] {
        if value != 0 {
            encode_key(tag, WireType::Varint, &mut fields);
            encode_varint(value, &mut fields);
        }
    }
    encode_key(4, WireType::LengthDelimited, &mut fields);
    encode_varint(length as u64, &mut fields);

    let output = fields.len() + length;
    let message = key_len(3) + encoded_len_varint(output as u64) + output;
    let mut header = (message as u32).to_be_bytes().to_vec();
    encode_key(3, WireType::LengthDelimited, &mut header);
    encode_varint(output as u64, &mut header);
    header.extend_from_slice(&fields);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use caisson_frame::Decoder;
    use caisson_frame::agent::Output;
    use proptest::prelude::*;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    proptest! {
        #[test]
        fn a_chunk_is_framed_as_the_generated_types_would(
            process_id in any::<u32>(),
            stream in prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)],
            offset in any::<u64>(),
            length in 1..CHUNK_BYTES,
        ) {
            let data = vec![7; length];
            let mut framed = output_header(process_id, stream, offset, length);
            prop_assert!(framed.len() <= HEADER_ROOM);
            framed.extend_from_slice(&data);
            let output = Output { process_id, stream: stream as i32, offset, data };
            prop_assert_eq!(framed, encode_frame(&AgentFrame { frame: Some(Frame::Output(output)) }).unwrap());
        }
    }

    #[test]
    fn frames_follow_the_chunk_that_was_begun() {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let reader = std::thread::spawn(move || {
            let mut decoder = Decoder::<AgentFrame>::new();
            let mut far = far;
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).unwrap();
            decoder.push(&bytes);
            [decoder.pull().unwrap().unwrap(), decoder.pull().unwrap().unwrap()]
        });
        let mut outbox = Outbox::default();
        outbox.chunk_buffer().fill(b'x');
        outbox.push_chunk(1, Stream::Stdout, 0, CHUNK_BYTES);
        outbox.push(Frame::Exited(Default::default()));
        while !outbox.is_empty() {
            outbox.flush(near.as_fd()).unwrap();
        }
        drop(near);
        let [first, second] = reader.join().unwrap();
        assert!(matches!(first.frame, Some(Frame::Output(output)) if output.data.len() == CHUNK_BYTES));
        assert!(matches!(second.frame, Some(Frame::Exited(_))));
    }
}
