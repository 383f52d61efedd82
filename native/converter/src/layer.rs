//! The rules by which entries become a layer: what an extraction over the lower layers would leave, said in overlayfs's words.

use crate::lower::{FoundKind, Lower};
use crate::path::components;
use crate::refuse::{Stop, shown};
use crate::resolve::Resolver;
use crate::squashfs::DataWriter;
use crate::tar::{Entry, Kind, Piece, Reader, Source};
use crate::tree::{Body, Content, InodeId, ROOT, Tree, too_many};
use std::io::Read;

const WHITEOUT_PREFIX: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
/// Aufs kept books of its own in layers.
const AUFS_PREFIX: &[u8] = b".wh..wh.";

pub struct Layer {
    pub tree: Tree,
    pub data: DataWriter,
    resolver: Resolver,
    max_entries: u32,
    pub entries: u32,
    root_is_opaque: bool,
}

impl Layer {
    pub fn new(data: DataWriter, lower: Option<Lower>, max_entries: u32) -> Result<Self, Stop> {
        let resolver = Resolver::new(lower, max_entries);
        Ok(Self {
            tree: Tree::new(max_entries)?,
            data,
            resolver,
            max_entries,
            entries: 0,
            root_is_opaque: false,
        })
    }

    pub fn read<S: Source>(&mut self, archive: &mut Reader<S>) -> Result<(), Stop> {
        while let Some(entry) = archive.next()? {
            if self.entries == self.max_entries {
                return Err(too_many(self.max_entries));
            }
            self.entries += 1;
            self.apply(entry, archive)?;
        }
        if self.root_is_opaque {
            self.hide_lower_root()?;
        }
        self.tree.mark_opaque();
        Ok(())
    }

    fn apply<S: Source>(&mut self, entry: Entry, archive: &mut Reader<S>) -> Result<(), Stop> {
        let path = components(&entry.path)?;
        let Some((name, parents)) = path.split_last() else {
            return self.apply_root(&entry);
        };
        if path.iter().any(|part| part.starts_with(AUFS_PREFIX) && *part != OPAQUE_MARK) {
            return Ok(());
        }
        if parents.iter().any(|part| part.starts_with(WHITEOUT_PREFIX)) {
            return Err(Stop::bad_entry(&entry.path, "it lies below a whiteout"));
        }
        let directory = self.resolver.directory(&mut self.tree, parents)?;
        if *name == OPAQUE_MARK {
            self.root_is_opaque |= directory == ROOT;
            self.tree.make_opaque(directory);
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) {
            return self.apply_whiteout(&entry, directory, hidden);
        }
        let body = match &entry.kind {
            Kind::Directory => return self.apply_directory(&entry, directory, name),
            Kind::Hardlink(target) => return self.apply_hardlink(&entry, directory, name, target),
            Kind::File(size) => Body::File(self.copy(*size, archive)?),
            Kind::Symlink(target) => Body::Symlink(self.tree.store(target)?),
            Kind::CharDevice(number) => Body::CharDevice(*number),
            Kind::BlockDevice(number) => Body::BlockDevice(*number),
            Kind::Fifo => Body::Fifo,
        };
        let inode = self.tree.add(&entry.attributes, body)?;
        self.tree.link(directory, name, inode)
    }

    fn apply_root(&mut self, entry: &Entry) -> Result<(), Stop> {
        if entry.kind != Kind::Directory {
            return Err(Stop::bad_entry(&entry.path, "the root is a directory, nothing else"));
        }
        self.tree.describe(ROOT, &entry.attributes)
    }

    /// A directory met again only changes its description. One that takes the place of something else of this layer has nothing below it,
    /// as what it replaces had already hidden the lower one.
    fn apply_directory(&mut self, entry: &Entry, directory: InodeId, name: &[u8]) -> Result<(), Stop> {
        let before = self.tree.lookup(directory, name);
        if let Some(inode) = before
            && let Body::Directory { .. } = self.tree.inode(inode).body
        {
            return self.tree.describe(inode, &entry.attributes);
        }
        let inode = self.tree.add(
            &entry.attributes,
            Body::Directory {
                opaque: before.is_some(),
                implied: false,
            },
        )?;
        self.tree.link(directory, name, inode)
    }

    /// Whiteouts speak of the lower layers only: what this layer has itself stays, wherever in the archive it stands.
    fn apply_whiteout(&mut self, entry: &Entry, directory: InodeId, hidden: &[u8]) -> Result<(), Stop> {
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Stop::bad_entry(&entry.path, "a whiteout of no name"));
        }
        match self.tree.lookup(directory, hidden) {
            Some(inode) => {
                self.tree.make_opaque(inode);
                Ok(())
            }
            None => self.add_whiteout(directory, hidden),
        }
    }

    fn add_whiteout(&mut self, directory: InodeId, name: &[u8]) -> Result<(), Stop> {
        let inode = self.tree.add_whiteout()?;
        self.tree.link(directory, name, inode)
    }

    fn apply_hardlink(&mut self, entry: &Entry, directory: InodeId, name: &[u8], target: &[u8]) -> Result<(), Stop> {
        let path = components(target)?;
        let Some((target_name, parents)) = path.split_last() else {
            return Err(Stop::bad_entry(&entry.path, "a hard link to the root"));
        };
        let (target_directory, lower_path) = self.resolver.directory_and_lower_path(&mut self.tree, parents)?;
        let inode = match self.tree.lookup(target_directory, target_name) {
            Some(inode) => inode,
            None => self.copy_up(entry, target, target_directory, target_name, lower_path)?,
        };
        match self.tree.inode(inode).body {
            Body::Directory { .. } => Err(Stop::bad_entry(
                &entry.path,
                format!("a hard link to a directory, {}", shown(target)),
            )),
            Body::Whiteout => Err(missing_target(entry, target)),
            _ => self.tree.link(directory, name, inode),
        }
    }

    /// A link into a lower layer: as overlayfs does it, the target comes up with all it is, so that both names are one file.
    fn copy_up(
        &mut self,
        entry: &Entry,
        target: &[u8],
        directory: InodeId,
        name: &[u8],
        lower_path: Option<Vec<u8>>,
    ) -> Result<InodeId, Stop> {
        let Some(lower) = self.resolver.lower() else {
            return Err(Stop::NeedsLowers);
        };
        let Some(mut path) = lower_path else {
            return Err(missing_target(entry, target));
        };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let found = lower.look(&path)?.ok_or_else(|| missing_target(entry, target))?;
        let body = match found.kind {
            FoundKind::Directory => {
                return Err(Stop::bad_entry(
                    &entry.path,
                    format!("a hard link to a directory, {}", shown(target)),
                ));
            }
            FoundKind::File(file, size) => Body::File(copy_lower(&mut self.data, file, size)?),
            FoundKind::Symlink(target) => Body::Symlink(self.tree.store(&target)?),
            FoundKind::CharDevice(number) => Body::CharDevice(number),
            FoundKind::BlockDevice(number) => Body::BlockDevice(number),
            FoundKind::Fifo => Body::Fifo,
        };
        let inode = self.tree.add(&found.attributes, body)?;
        self.tree.link(directory, name, inode)?;
        Ok(inode)
    }

    fn copy<S: Source>(&mut self, size: u64, archive: &mut Reader<S>) -> Result<Content, Stop> {
        let mut file = self.data.file(size)?;
        while let Some(piece) = archive.data()? {
            match piece {
                Piece::Data(bytes) => file.data(bytes)?,
                Piece::Hole(length) => file.hole(length)?,
            }
        }
        file.finish()
    }

    /// Overlayfs merges the roots of layers whatever mark they have, so each name of the lower one is hidden on its own.
    fn hide_lower_root(&mut self) -> Result<(), Stop> {
        let lower = self.resolver.lower().ok_or(Stop::NeedsLowers)?;
        for name in lower.root_names()? {
            match self.tree.lookup(ROOT, &name) {
                Some(inode) => self.tree.make_opaque(inode),
                None => self.add_whiteout(ROOT, &name)?,
            }
        }
        Ok(())
    }
}

fn copy_lower(data: &mut DataWriter, source: std::fs::File, size: u64) -> Result<Content, Stop> {
    let mut file = data.file(size)?;
    let mut buffer = vec![0; 128 << 10];
    let mut source = source.take(size);
    let mut left = size;
    while left > 0 {
        let count = source.read(&mut buffer).map_err(|error| Stop::io("lower layers", &error))?;
        if count == 0 {
            return Err(Stop::io("lower layers", &std::io::ErrorKind::UnexpectedEof.into()));
        }
        file.data(&buffer[..count])?;
        left -= count as u64;
    }
    file.finish()
}

fn missing_target(entry: &Entry, target: &[u8]) -> Stop {
    Stop::bad_entry(&entry.path, format!("a hard link to {}, which does not exist", shown(target)))
}
