//! SHA-256.
use rustix::io::{Errno, pread};
use sha2::Sha256;
use std::fmt::Write;
use std::os::fd::AsFd;

pub type Digest = [u8; 32];

const READ_BYTES: usize = 1 << 20;

pub fn of(bytes: &[u8]) -> Digest {
    use sha2::Digest;
    Sha256::digest(bytes).into()
}

/// From its first byte on, wherever others have come who share the descriptor.
pub fn of_file(file: impl AsFd) -> Result<Digest, Errno> {
    use sha2::Digest;
    let mut hash = Sha256::new();
    let mut bytes = vec![0; READ_BYTES];
    let mut offset = 0;
    loop {
        match pread(&file, &mut bytes, offset) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => {
                hash.update(&bytes[..count]);
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

pub fn text(digest: &Digest) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
