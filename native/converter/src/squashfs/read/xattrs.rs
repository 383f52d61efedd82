use super::image::table_entry;
use super::metadata::Metadata;
use crate::attributes::Xattr;
use crate::refuse::Stop;
use crate::squashfs::superblock::NO_TABLE;
use crate::xattr::prefix_named;

const SET_BYTES: usize = 16;
/// As the tar reader takes them, with the mark of an opaque directory.
const MAX_SETS_BYTES: u32 = 1 << 20;
const MAX_NAME_BYTES: usize = 255;

pub struct XattrTable {
    sets: u64,
    list: u64,
    count: u32,
}

impl XattrTable {
    pub fn open(metadata: &Metadata, head: u64) -> Result<Self, Stop> {
        if head == NO_TABLE {
            return Err(metadata.damaged("table of attributes"));
        }
        let bytes = metadata.array::<16>(head)?;
        let (sets, rest) = bytes.split_first_chunk().expect("16 bytes have 8");
        let (count, _) = rest.split_first_chunk().expect("8 bytes have 4");
        Ok(Self {
            sets: u64::from_le_bytes(*sets),
            list: head + 16,
            count: u32::from_le_bytes(*count),
        })
    }

    pub fn set(&self, metadata: &Metadata, id: u32) -> Result<Vec<Xattr>, Stop> {
        if id >= self.count {
            return Err(metadata.damaged("set of attributes"));
        }
        let mut place = table_entry(metadata, self.list, id as usize, SET_BYTES)?;
        let (reference, count, bytes) = (place.u64()?, place.u32()?, place.u32()?);
        let block = self.sets.checked_add(reference >> 16);
        let block = block.ok_or_else(|| metadata.damaged("set of attributes"))?;
        if bytes > MAX_SETS_BYTES {
            return Err(metadata.damaged("set of attributes"));
        }
        let mut cursor = metadata.cursor(block, usize::from(reference as u16))?;
        let mut left = bytes as usize;
        let mut take = |bytes: usize| {
            left = left.checked_sub(bytes).ok_or_else(|| metadata.damaged("set of attributes"))?;
            Ok(bytes)
        };
        let mut xattrs = Vec::new();
        for _ in 0..count {
            take(8)?;
            let prefix = prefix_named(cursor.u16()?).ok_or_else(|| metadata.damaged("attribute"))?;
            let length = usize::from(cursor.u16()?);
            if !(1..=MAX_NAME_BYTES).contains(&length) {
                return Err(metadata.damaged("attribute"));
            }
            let name = cursor.vec(take(length)?)?;
            let length = take(cursor.u32()? as usize)?;
            xattrs.push(Xattr {
                name: [prefix, &name].concat(),
                value: cursor.vec(length)?,
            });
        }
        Ok(xattrs)
    }
}
