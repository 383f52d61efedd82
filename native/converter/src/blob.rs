//! The blob as it comes in: a thread reads the channel, decompresses and hashes, while the caller works on what it made before.

use crate::args::Compression;
use crate::decompress::Decompressor;
use crate::refuse::Stop;
use crate::tar::Source;
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS: usize = 6;

/// What is known of the uncompressed bytes once all of them were read.
#[derive(Debug)]
pub struct Sum {
    pub sha256: [u8; 32],
    pub bytes: u64,
}

type Chunk = (Vec<u8>, usize);

pub struct Blob {
    full: Receiver<Result<Chunk, Stop>>,
    empty: Sender<Vec<u8>>,
    thread: JoinHandle<Sum>,
    chunk: Vec<u8>,
    at: usize,
    end: usize,
}

impl Blob {
    pub fn open(channel_end: UnixStream, compression: Compression, max_bytes: u64) -> Result<Self, Stop> {
        let (full_in, full) = sync_channel(CHUNKS);
        let (empty, empty_out) = channel();
        for _ in 0..CHUNKS {
            empty.send(vec![0; CHUNK_BYTES]).expect("its receiver is in this function");
        }
        let pump = Pump {
            compression,
            max_bytes,
            full: full_in,
            empty: empty_out,
        };
        let thread = std::thread::Builder::new()
            .name("decompress".into())
            .spawn(move || pump.run(&channel_end))
            .map_err(|error| Stop::io("thread", &error))?;
        Ok(Self {
            full,
            empty,
            thread,
            chunk: Vec::new(),
            at: 0,
            end: 0,
        })
    }

    /// Reads what is left, as the hash is over all of it.
    pub fn finish(mut self) -> Result<Sum, Stop> {
        let rest = self.skip_rest();
        let sum = self.close();
        rest.map(|()| sum)
    }

    /// After a refusal too all of the blob is read, only not decompressed: the peer writes all before it reads our answer.
    pub fn abandon(self) {
        self.close();
    }

    fn skip_rest(&mut self) -> Result<(), Stop> {
        loop {
            match self.fill()?.len() {
                0 => return Ok(()),
                length => self.consume(length),
            }
        }
    }

    fn close(self) -> Sum {
        drop((self.full, self.empty));
        self.thread.join().expect("a panic ends the process")
    }
}

impl Source for Blob {
    fn fill(&mut self) -> Result<&[u8], Stop> {
        if self.at == self.end
            && let Ok(next) = self.full.recv()
        {
            let (chunk, length) = next?;
            let used = std::mem::replace(&mut self.chunk, chunk);
            (self.at, self.end) = (0, length);
            if !used.is_empty() {
                // The thread may have ended already.
                let _ = self.empty.send(used);
            }
        }
        Ok(&self.chunk[self.at..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

struct Pump {
    compression: Compression,
    max_bytes: u64,
    full: SyncSender<Result<Chunk, Stop>>,
    empty: Receiver<Vec<u8>>,
}

impl Pump {
    fn run(self, channel: &UnixStream) -> Sum {
        let mut hasher = Sha256::new();
        let mut bytes = 0;
        if let Err(stop) = self.decompress(channel, &mut hasher, &mut bytes) {
            // Nobody listens any more after a refusal of the caller's own.
            let _ = self.full.send(Err(stop));
        }
        drop(self.full);
        drain(channel);
        Sum {
            sha256: hasher.finalize().into(),
            bytes,
        }
    }

    /// Ends with the input, with a refusal, or when the caller went away.
    fn decompress(&self, channel: &UnixStream, hasher: &mut Sha256, bytes: &mut u64) -> Result<(), Stop> {
        let mut decompressor = Decompressor::new(self.compression, channel)?;
        while let Ok(mut chunk) = self.empty.recv() {
            let length = decompressor.fill(&mut chunk)?;
            *bytes += length as u64;
            if *bytes > self.max_bytes {
                return Err(Stop::too_large(format!(
                    "layer has more than {} bytes uncompressed",
                    self.max_bytes
                )));
            }
            hasher.update(&chunk[..length]);
            let at_end = length < chunk.len();
            if length > 0 && self.full.send(Ok((chunk, length))).is_err() || at_end {
                break;
            }
        }
        Ok(())
    }
}

fn drain(mut channel: &UnixStream) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match channel.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
}
