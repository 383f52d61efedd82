//! What the fuzzers of frames share (`native/fuzz`), and the first of them. Any bytes may be refused; none may panic or make the decoder keep
//! more than one frame.

use crate::{Decoder, FrameError, HEADER_BYTES, MAX_FRAME_BYTES, agent, launch, listing, read_frame};
use prost::Message;
use std::path::Path;

/// With lengths that fit: of a length that is wrong all that follows is lost, and a mutation of it teaches nothing more.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut stream = bytes.to_vec();
    let mut at = 0;
    while let Some(header) = stream[at..].first_chunk::<HEADER_BYTES>() {
        let left = stream.len() - at - HEADER_BYTES;
        let length = (u32::from_be_bytes(*header) as usize).min(left);
        stream[at..at + HEADER_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
        at += HEADER_BYTES + length;
    }
    stream
}

/// The two first bytes say of which type the frames are, whether their lengths are put right, and in pieces of what size they come.
pub fn frame(bytes: &[u8]) {
    let Some((&[kind, pieces], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let stream = if kind & 0x80 == 0 { framed(rest) } else { rest.to_vec() };
    let step = usize::from(pieces) + 1;
    match kind % 6 {
        0 => compare::<agent::HostFrame>(&stream, step),
        1 => compare::<agent::AgentFrame>(&stream, step),
        2 => compare::<launch::Request>(&stream, step),
        3 => compare::<launch::Event>(&stream, step),
        4 => compare::<launch::ConvertResult>(&stream, step),
        _ => compare::<listing::Listing>(&stream, step),
    }
}

/// What comes in pieces is what is read in one go, and a message that was understood is understood again.
fn compare<T: Message + Default + PartialEq + std::fmt::Debug>(stream: &[u8], step: usize) {
    let came = decoded::<T>(stream, step);
    assert!(came == read::<T>(stream), "{:?}", came.1);
    for message in &came.0 {
        assert_eq!(T::decode(message.encode_to_vec().as_slice()).as_ref(), Ok(message));
    }
}

#[derive(Debug, PartialEq)]
enum End {
    Boundary,
    Truncated,
    TooLong,
    Malformed,
}

fn decoded<T: Message + Default>(stream: &[u8], step: usize) -> (Vec<T>, End) {
    let mut decoder = Decoder::<T>::new();
    let mut messages = Vec::new();
    for piece in stream.chunks(step) {
        decoder.push(piece);
        loop {
            match decoder.pull() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, end_of(&error)),
            }
        }
        assert!(decoder.pending() < HEADER_BYTES + MAX_FRAME_BYTES);
    }
    let end = if decoder.at_boundary() {
        End::Boundary
    } else {
        End::Truncated
    };
    (messages, end)
}

fn read<T: Message + Default>(mut stream: &[u8]) -> (Vec<T>, End) {
    let mut messages = Vec::new();
    loop {
        match read_frame(&mut stream) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, End::Boundary),
            Err(error) => return (messages, end_of(&error)),
        }
    }
}

fn end_of(error: &FrameError) -> End {
    match error {
        FrameError::TooLong(_) => End::TooLong,
        FrameError::Malformed(_) => End::Malformed,
        FrameError::Truncated => End::Truncated,
        FrameError::Io(error) => panic!("memory has no {error}"),
    }
}

/// What the fuzzer found worth keeping, and what it ever found wrong.
pub fn run_corpus(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let inputs = std::fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("a file").path());
    let inputs: Vec<_> = inputs.map(|path| std::fs::read(path).expect("an input")).collect();
    assert!(!inputs.is_empty());
    inputs.iter().for_each(|input| check(input));
}

#[cfg(test)]
mod tests {
    #[test]
    fn corpus() {
        super::run_corpus("frame", super::frame);
    }
}
