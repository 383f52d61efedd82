//! The layer as a tree of names and inodes, kept small: a million entries must fit beside everything else in 256 MiB.

use crate::attributes::Attributes;
use crate::refuse::{Reason, Stop};
use crate::xattr::{SetId, XattrSets};
use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

pub type InodeId = u32;
pub const ROOT: InodeId = 0;

/// Names, symlink targets and extended attributes together.
const MAX_TEXT_BYTES: usize = 64 << 20;
/// Squashfs numbers its owners with 16 bits.
const MAX_OWNERS: usize = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    pub meta: Meta,
    pub body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    pub mode: u16,
    /// Places in the table of owners.
    pub uid: u16,
    pub gid: u16,
    pub mtime: u32,
    pub xattrs: SetId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `opaque`: nothing of the lower layers shows in it. `implied`: no entry described it, only entries inside it.
    Directory {
        opaque: bool,
        implied: bool,
    },
    File(Content),
    Symlink(Text),
    CharDevice(u32),
    BlockDevice(u32),
    Fifo,
    /// The name does not exist, whatever the lower layers say.
    Whiteout,
}

/// Where the bytes of a file are in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub size: u64,
    pub start: u64,
    /// Into the list of block sizes.
    pub first_block: u32,
    /// A file smaller than a block lies in a fragment, beside others; `NO_FRAGMENT` for the larger.
    pub fragment: u32,
    pub fragment_offset: u32,
}

pub const NO_FRAGMENT: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    at: u32,
    length: u16,
}

struct Name {
    directory: InodeId,
    text: Text,
    inode: InodeId,
}

pub struct Tree {
    inodes: Vec<Inode>,
    names: Vec<Name>,
    /// Places in `names`, by directory and text.
    by_name: HashTable<u32>,
    hasher: RandomState,
    text: Vec<u8>,
    owners: Vec<u32>,
    owner_places: HashMap<u32, u16>,
    xattrs: XattrSets,
    max_inodes: u32,
}

impl Tree {
    pub fn new(max_inodes: u32) -> Result<Self, Stop> {
        let mut tree = Self {
            inodes: Vec::new(),
            names: Vec::new(),
            by_name: HashTable::new(),
            hasher: RandomState::new(),
            text: Vec::new(),
            owners: Vec::new(),
            owner_places: HashMap::new(),
            xattrs: XattrSets::new(),
            max_inodes: max_inodes.saturating_add(1),
        };
        tree.add(
            &Attributes::of_missing_directory(),
            Body::Directory {
                opaque: false,
                implied: false,
            },
        )?;
        Ok(tree)
    }

    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id as usize]
    }

    pub fn lookup(&self, directory: InodeId, text: &[u8]) -> Option<InodeId> {
        self.place(directory, text).map(|place| self.names[place as usize].inode)
    }

    pub fn add(&mut self, attributes: &Attributes, body: Body) -> Result<InodeId, Stop> {
        if self.inodes.len() >= self.max_inodes as usize {
            return Err(too_many(self.max_inodes - 1));
        }
        let meta = self.meta(attributes)?;
        self.inodes.push(Inode { meta, body });
        Ok(self.inodes.len() as InodeId - 1)
    }

    pub fn add_whiteout(&mut self) -> Result<InodeId, Stop> {
        self.add(
            &Attributes {
                mode: 0,
                ..Attributes::of_missing_directory()
            },
            Body::Whiteout,
        )
    }

    /// Gives the name to this inode; what had it before, with all that was inside, is out of the tree.
    pub fn link(&mut self, directory: InodeId, text: &[u8], inode: InodeId) -> Result<(), Stop> {
        if let Some(place) = self.place(directory, text) {
            self.names[place as usize].inode = inode;
            return Ok(());
        }
        if self.names.len() >= self.max_inodes as usize {
            return Err(too_many(self.max_inodes - 1));
        }
        let place = self.names.len() as u32;
        let stored = self.store(text)?;
        self.names.push(Name {
            directory,
            text: stored,
            inode,
        });
        let (names, bytes, hasher) = (&self.names, &self.text, &self.hasher);
        let rehash = |&place: &u32| {
            let name = &names[place as usize];
            hasher.hash_one((name.directory, slice(bytes, name.text)))
        };
        self.by_name.insert_unique(hasher.hash_one((directory, text)), place, rehash);
        Ok(())
    }

    /// A directory described again, or for the first time after entries inside it.
    pub fn describe(&mut self, directory: InodeId, attributes: &Attributes) -> Result<(), Stop> {
        let meta = self.meta(attributes)?;
        let inode = &mut self.inodes[directory as usize];
        inode.meta = meta;
        if let Body::Directory { implied, .. } = &mut inode.body {
            *implied = false;
        }
        Ok(())
    }

    pub fn make_opaque(&mut self, directory: InodeId) {
        if let Body::Directory { opaque, .. } = &mut self.inodes[directory as usize].body {
            *opaque = true;
        }
    }

    /// Keeps bytes for `Body::Symlink`.
    pub fn store(&mut self, text: &[u8]) -> Result<Text, Stop> {
        if self.text.len() + text.len() + self.xattrs.bytes() > MAX_TEXT_BYTES {
            return Err(too_much_text());
        }
        let at = self.text.len() as u32;
        self.text.extend_from_slice(text);
        Ok(Text {
            at,
            length: text.len() as u16,
        })
    }

    pub fn text(&self, text: Text) -> &[u8] {
        slice(&self.text, text)
    }

    /// All that was ever given a name, also what is out of the tree since: directory, text and inode by place.
    pub fn name_count(&self) -> u32 {
        self.names.len() as u32
    }

    pub fn name(&self, place: u32) -> (InodeId, &[u8], InodeId) {
        let name = &self.names[place as usize];
        (name.directory, self.text(name.text), name.inode)
    }

    pub fn inode_count(&self) -> u32 {
        self.inodes.len() as u32
    }

    pub fn owners(&self) -> &[u32] {
        &self.owners
    }

    pub fn xattrs(&self) -> &XattrSets {
        &self.xattrs
    }

    /// Once the layer is read: what makes directories opaque becomes an attribute as any other.
    pub fn mark_opaque(&mut self) {
        for inode in &mut self.inodes {
            if let Body::Directory { opaque: true, .. } = inode.body {
                inode.meta.xattrs = self.xattrs.with_opaque(inode.meta.xattrs);
            }
        }
    }

    fn place(&self, directory: InodeId, text: &[u8]) -> Option<u32> {
        let same = |&place: &u32| {
            let name = &self.names[place as usize];
            name.directory == directory && self.text(name.text) == text
        };
        self.by_name.find(self.hasher.hash_one((directory, text)), same).copied()
    }

    fn meta(&mut self, attributes: &Attributes) -> Result<Meta, Stop> {
        let (uid, gid) = (self.owner(attributes.uid)?, self.owner(attributes.gid)?);
        let xattrs = self.xattrs.intern(&attributes.xattrs);
        if self.text.len() + self.xattrs.bytes() > MAX_TEXT_BYTES {
            return Err(too_much_text());
        }
        Ok(Meta {
            mode: attributes.mode,
            uid,
            gid,
            mtime: attributes.mtime,
            xattrs,
        })
    }

    fn owner(&mut self, id: u32) -> Result<u16, Stop> {
        if let Some(place) = self.owner_places.get(&id) {
            return Ok(*place);
        }
        // The count of them is a 16-bit number too.
        if self.owners.len() + 1 >= MAX_OWNERS {
            return Err(Stop::too_large(format!(
                "layer has more than {} different uids and gids",
                MAX_OWNERS - 1
            )));
        }
        let place = self.owners.len() as u16;
        self.owners.push(id);
        self.owner_places.insert(id, place);
        Ok(place)
    }
}

fn slice(bytes: &[u8], text: Text) -> &[u8] {
    &bytes[text.at as usize..text.at as usize + usize::from(text.length)]
}

pub fn too_many(limit: u32) -> Stop {
    Stop::Refused(Reason::TooManyEntries, format!("layer has more than {limit} entries"))
}

fn too_much_text() -> Stop {
    Stop::too_large(format!(
        "names, symlink targets and extended attributes of the layer take more than {} MiB",
        MAX_TEXT_BYTES >> 20
    ))
}

#[cfg(test)]
#[path = "tree_test.rs"]
mod tests;
