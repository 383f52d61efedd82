use super::image::Image;
use super::metadata::Cursor;
use super::node::{Node, NodeKind};
use crate::path::MAX_COMPONENT_BYTES;
use crate::refuse::Stop;
use crate::squashfs::directory::{ENTRY_BYTES, HEADER_BYTES, MAX_RUN};

/// A name in a directory, and where its inode is.
pub struct Child {
    pub name: Vec<u8>,
    pub reference: u64,
}

/// The names of one directory, in the order of their bytes.
pub struct Listing<'a> {
    cursor: Cursor<'a>,
    left: u32,
    run: u32,
    block: u32,
    last: Vec<u8>,
}

impl<'a> Listing<'a> {
    /// None: the node is no directory.
    pub fn of(image: &'a Image, node: &Node) -> Result<Option<Self>, Stop> {
        let NodeKind::Directory { block, offset, size } = node.kind else {
            return Ok(None);
        };
        let cursor = image.listing(block, offset)?;
        let left = size.checked_sub(3).ok_or_else(|| cursor.damaged("directory"))?;
        Ok(Some(Self {
            cursor,
            left,
            run: 0,
            block: 0,
            last: Vec::new(),
        }))
    }

    pub fn next(&mut self) -> Result<Option<Child>, Stop> {
        if self.run == 0 {
            if self.left == 0 {
                return Ok(None);
            }
            self.begin_run()?;
        }
        self.run -= 1;
        let offset = self.cursor.u16()?;
        let (_number, _kind) = (self.cursor.u16()?, self.cursor.u16()?);
        let length = usize::from(self.cursor.u16()?) + 1;
        if length > MAX_COMPONENT_BYTES {
            return Err(self.cursor.damaged("name"));
        }
        self.take(ENTRY_BYTES + length)?;
        let name = self.cursor.vec(length)?;
        if name.contains(&b'/') || name.contains(&0) || matches!(name.as_slice(), b"." | b"..") || name <= self.last {
            return Err(self.cursor.damaged("name"));
        }
        self.last.clone_from(&name);
        let reference = u64::from(self.block) << 16 | u64::from(offset);
        Ok(Some(Child { name, reference }))
    }

    fn begin_run(&mut self) -> Result<(), Stop> {
        self.take(HEADER_BYTES)?;
        let (count, block, _number) = (self.cursor.u32()?, self.cursor.u32()?, self.cursor.u32()?);
        if count >= MAX_RUN as u32 {
            return Err(self.cursor.damaged("directory"));
        }
        (self.run, self.block) = (count + 1, block);
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        let left = self.left.checked_sub(bytes as u32);
        self.left = left.ok_or_else(|| self.cursor.damaged("directory"))?;
        Ok(())
    }
}
