//! What worker, agent, launcher, converter and lister say to each other (`proto/agent.proto`, `proto/launch.proto`, `proto/listing.proto`), and
//! how it is framed: the length of the message as 4 bytes, big-endian, then the message.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

mod codec;
mod decoder;
mod errno;
#[cfg(any(test, feature = "harness"))]
pub mod harness;
#[cfg(feature = "std")]
mod stream;

pub use codec::{HEADER_BYTES, MAX_FRAME_BYTES, encode_frame};
pub use decoder::Decoder;
pub use errno::ErrnoName;
#[cfg(feature = "std")]
pub use stream::{read_frame, write_frame};

/// Frames between worker and agent.
pub mod agent {
    include!(concat!(env!("OUT_DIR"), "/caisson.agent.v1.rs"));
}

/// Frames between worker and launcher, and the converter's one answer.
pub mod launch {
    include!(concat!(env!("OUT_DIR"), "/caisson.launch.v1.rs"));
}

/// What the lister says to the worker.
pub mod listing {
    include!(concat!(env!("OUT_DIR"), "/caisson.listing.v1.rs"));
}

/// The peer broke the framing, or the stream failed: the channel is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {0} bytes, at most {MAX_FRAME_BYTES}")]
    TooLong(usize),
    #[error("frame is not a message of its type: {0}")]
    Malformed(#[from] prost::DecodeError),
    #[error("stream ended inside a frame")]
    Truncated,
    #[cfg(feature = "std")]
    #[error("stream: {0}")]
    Io(#[from] std::io::Error),
}
