use super::{BLOCK_BYTES, BLOCK_LOG, METADATA_UNCOMPRESSED};

const MAGIC: u32 = 0x7371_7368;
const LZ4: u16 = 5;
const LZ4_FORMAT: u32 = 1;
pub const SUPERBLOCK_BYTES: usize = 96;

const HAS_COMPRESSOR_OPTIONS: u16 = 0x400;

/// For a table that is not there.
pub const NO_TABLE: u64 = u64::MAX;

/// What the superblock says beyond constants.
pub struct Summary {
    pub inodes: u32,
    pub fragments: u32,
    pub owners: u16,
    pub root: u64,
    pub bytes: u64,
    pub owner_table: u64,
    pub xattr_table: u64,
    pub inode_table: u64,
    pub directory_table: u64,
    pub fragment_table: u64,
}

/// The superblock's room, and the options of the compressor, which the kernel expects right behind it.
pub fn placeholder() -> Vec<u8> {
    let mut bytes = vec![0; SUPERBLOCK_BYTES];
    bytes.extend((8 | METADATA_UNCOMPRESSED).to_le_bytes());
    bytes.extend(LZ4_FORMAT.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes
}

/// No time of making: a layer has one image, byte for byte.
pub fn encode(summary: &Summary) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SUPERBLOCK_BYTES);
    for word in [MAGIC, summary.inodes, 0, BLOCK_BYTES as u32, summary.fragments] {
        bytes.extend(word.to_le_bytes());
    }
    for half in [LZ4, BLOCK_LOG, HAS_COMPRESSOR_OPTIONS, summary.owners, 4, 0] {
        bytes.extend(half.to_le_bytes());
    }
    let tables = [
        summary.owner_table,
        summary.xattr_table,
        summary.inode_table,
        summary.directory_table,
        summary.fragment_table,
    ];
    for long in [summary.root, summary.bytes].into_iter().chain(tables).chain([NO_TABLE]) {
        bytes.extend(long.to_le_bytes());
    }
    bytes
}

/// None: not one of ours.
pub fn decode(bytes: &[u8; SUPERBLOCK_BYTES]) -> Option<Summary> {
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let summary = Summary {
        inodes: word(4),
        fragments: word(16),
        owners: half(26),
        root: long(32),
        bytes: long(40),
        owner_table: long(48),
        xattr_table: long(56),
        inode_table: long(64),
        directory_table: long(72),
        fragment_table: long(80),
    };
    (encode(&summary) == bytes).then_some(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_what_it_wrote() {
        let summary = Summary {
            inodes: 1,
            fragments: 2,
            owners: 3,
            root: 4,
            bytes: 5 << 40,
            owner_table: 6,
            xattr_table: 7,
            inode_table: 8,
            directory_table: 9,
            fragment_table: 10,
        };
        let bytes: [u8; SUPERBLOCK_BYTES] = encode(&summary).try_into().unwrap();
        assert_eq!(decode(&bytes).map(|summary| encode(&summary)), Some(bytes.to_vec()));
        for at in [0, 8, 12, 20, 22, 24, 28, 30, 88] {
            let mut other = bytes;
            other[at] ^= 1;
            assert!(decode(&other).is_none(), "byte {at}");
        }
    }
}
