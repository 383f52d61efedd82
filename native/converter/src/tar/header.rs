//! One 512-byte header block.

use super::number::field;
use crate::refuse::Stop;
use std::ops::Range;

pub const BLOCK_BYTES: usize = 512;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK_NAME: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;
/// Star has times behind a shorter prefix, and its own mark at the end.
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_MARK: Range<usize> = 508..512;

pub struct Header(pub [u8; BLOCK_BYTES]);

impl Header {
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    pub fn verify(&self) -> Result<(), Stop> {
        let told = field(&self.0[CHECKSUM]);
        // Old writers summed signed bytes.
        let sum = |of: fn(u8) -> i64| -> i64 {
            let spaces = CHECKSUM.len() as i64 * i64::from(b' ');
            self.0
                .iter()
                .enumerate()
                .filter(|(at, _)| !CHECKSUM.contains(at))
                .map(|(_, &byte)| of(byte))
                .sum::<i64>()
                + spaces
        };
        if told == Some(sum(i64::from)) || told == Some(sum(|byte| i64::from(byte as i8))) {
            return Ok(());
        }
        Err(self.bad("header checksum does not match"))
    }

    pub fn kind(&self) -> u8 {
        self.0[TYPE]
    }

    pub fn path(&self) -> Vec<u8> {
        let name = text(&self.0[NAME]);
        let prefix = if !self.is_posix() {
            &[]
        } else if &self.0[STAR_MARK] == b"tar\0" {
            text(&self.0[STAR_PREFIX])
        } else {
            text(&self.0[PREFIX])
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub fn link_name(&self) -> Vec<u8> {
        text(&self.0[LINK_NAME]).to_vec()
    }

    pub fn mode(&self) -> Result<i64, Stop> {
        self.number(MODE, "mode")
    }

    pub fn uid(&self) -> Result<i64, Stop> {
        self.number(UID, "uid")
    }

    pub fn gid(&self) -> Result<i64, Stop> {
        self.number(GID, "gid")
    }

    pub fn mtime(&self) -> Result<i64, Stop> {
        self.number(MTIME, "mtime")
    }

    pub fn size(&self) -> Result<u64, Stop> {
        let size = self.number(SIZE, "size")?;
        u64::try_from(size).map_err(|_| self.bad(&format!("negative size {size}")))
    }

    /// Major and minor.
    pub fn device(&self) -> Result<(i64, i64), Stop> {
        Ok((self.number(MAJOR, "device major")?, self.number(MINOR, "device minor")?))
    }

    pub fn is_gnu(&self) -> bool {
        &self.0[MAGIC] == b"ustar  \0"
    }

    fn is_posix(&self) -> bool {
        &self.0[MAGIC] == b"ustar\x0000"
    }

    fn number(&self, range: Range<usize>, what: &str) -> Result<i64, Stop> {
        field(&self.0[range]).ok_or_else(|| self.bad(&format!("header field {what} is no number")))
    }

    pub fn bad(&self, fault: &str) -> Stop {
        Stop::bad_entry(&self.path(), fault)
    }
}

/// A field up to its first NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}
