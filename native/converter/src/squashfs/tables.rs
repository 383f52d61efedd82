//! The tables behind inodes and directories: metadata blocks, then a list of where they are.

use super::Output;
use super::data::Fragment;
use super::metadata::MetadataWriter;
use super::superblock::NO_TABLE;
use crate::refuse::Stop;
use crate::xattr::{XattrSets, count};

/// Gives the position of the list, by which the kernel finds the table.
pub fn write_fragments(output: &mut Output, fragments: &[Fragment]) -> Result<u64, Stop> {
    if fragments.is_empty() {
        return Ok(NO_TABLE);
    }
    let mut table = MetadataWriter::new(output);
    for fragment in fragments {
        table.write(&fragment.start.to_le_bytes())?;
        table.write(&fragment.size.to_le_bytes())?;
        table.write(&[0; 4])?;
    }
    let blocks = table.finish()?;
    write_list(output, &blocks)
}

pub fn write_owners(output: &mut Output, owners: &[u32]) -> Result<u64, Stop> {
    let mut table = MetadataWriter::new(output);
    for owner in owners {
        table.write(&owner.to_le_bytes())?;
    }
    let blocks = table.finish()?;
    write_list(output, &blocks)
}

/// Twice metadata: the sets themselves, then where each is; before the list a head of its own.
pub fn write_xattrs(output: &mut Output, xattrs: &XattrSets) -> Result<u64, Stop> {
    let sets = xattrs.sets();
    let ids = sets.len() as u32;
    let start = output.position();
    let mut table = MetadataWriter::new(output);
    let mut places = Vec::with_capacity(sets.len() * 16);
    for set in sets {
        let reference = table.position().reference();
        places.extend(reference.to_le_bytes());
        places.extend(count(set).to_le_bytes());
        places.extend((set.len() as u32).to_le_bytes());
        table.write(set)?;
    }
    table.finish()?;
    let mut table = MetadataWriter::new(output);
    table.write(&places)?;
    let blocks = table.finish()?;
    let head = output.position();
    output.write(&[&start.to_le_bytes()[..], &ids.to_le_bytes(), &[0; 4]].concat())?;
    write_list(output, &blocks)?;
    Ok(head)
}

fn write_list(output: &mut Output, blocks: &[u64]) -> Result<u64, Stop> {
    let start = output.position();
    output.write(&blocks.iter().flat_map(|block| block.to_le_bytes()).collect::<Vec<_>>())?;
    Ok(start)
}
