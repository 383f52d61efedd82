//! Finds the directory in which an entry stands, as an extraction over the lower layers would: symlinks are followed, and never lead out of
//! the root; what is missing is made, like the lower layers have it.

use crate::attributes::Attributes;
use crate::lower::{FoundKind, Lower};
use crate::refuse::{Stop, shown};
use crate::tree::{Body, InodeId, ROOT, Tree};

/// As the kernel's own.
const MAX_SYMLINKS: u32 = 40;

pub struct Resolver {
    lower: Option<Lower>,
    /// Against a layer of deep paths through chains of symlinks, which would cost hours.
    steps_left: u64,
}

/// A directory by the way to it: the names from the root on, each with its inode.
struct Trail<'a> {
    names: Vec<(Vec<u8>, InodeId)>,
    tree: &'a mut Tree,
}

impl Resolver {
    pub fn new(lower: Option<Lower>, max_entries: u32) -> Self {
        Self {
            lower,
            steps_left: 1_000_000 + 100 * u64::from(max_entries),
        }
    }

    pub fn lower(&self) -> Option<&Lower> {
        self.lower.as_ref()
    }

    pub fn directory(&mut self, tree: &mut Tree, path: &[&[u8]]) -> Result<InodeId, Stop> {
        self.spend(path.len() as u64)?;
        if let Some(inode) = straight(tree, path) {
            return Ok(inode);
        }
        Ok(self.walk(tree, path)?.inode())
    }

    /// The directory, and its path in the lower layers, if they show there at all.
    pub fn directory_and_lower_path(&mut self, tree: &mut Tree, path: &[&[u8]]) -> Result<(InodeId, Option<Vec<u8>>), Stop> {
        let trail = self.walk(tree, path)?;
        Ok((trail.inode(), trail.lower_path()))
    }

    fn walk<'a>(&mut self, tree: &'a mut Tree, path: &[&[u8]]) -> Result<Trail<'a>, Stop> {
        let mut trail = Trail { names: Vec::new(), tree };
        let mut todo: Vec<Vec<u8>> = path.iter().rev().map(|name| name.to_vec()).collect();
        let mut symlinks = 0;
        while let Some(name) = todo.pop() {
            self.spend(1)?;
            if name == b".." {
                trail.names.pop();
                continue;
            }
            if let Some(target) = trail.enter(name, self.lower.as_ref())? {
                symlinks += 1;
                if symlinks > MAX_SYMLINKS {
                    return Err(Stop::bad_entry(
                        &path.join(&b'/'),
                        format!("more than {MAX_SYMLINKS} symlinks on the way to it"),
                    ));
                }
                if target.starts_with(b"/") {
                    trail.names.clear();
                }
                let parts = target.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
                todo.extend(parts.rev().map(<[u8]>::to_vec));
            }
        }
        Ok(trail)
    }

    fn spend(&mut self, steps: u64) -> Result<(), Stop> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or_else(|| {
            Stop::too_large(
                "the paths of the layer are too long and lead through too many symlinks: over 100 steps for each entry",
            )
        })?;
        Ok(())
    }
}

/// The usual case: directories all the way.
fn straight(tree: &Tree, path: &[&[u8]]) -> Option<InodeId> {
    path.iter().try_fold(ROOT, |directory, name| {
        let inode = tree.lookup(directory, name)?;
        matches!(tree.inode(inode).body, Body::Directory { .. }).then_some(inode)
    })
}

impl Trail<'_> {
    fn inode(&self) -> InodeId {
        self.names.last().map_or(ROOT, |(_, inode)| *inode)
    }

    fn lower_path(&self) -> Option<Vec<u8>> {
        let opaque = |inode: InodeId| matches!(self.tree.inode(inode).body, Body::Directory { opaque: true, .. });
        if opaque(ROOT) || self.names.iter().any(|(_, inode)| opaque(*inode)) {
            return None;
        }
        Some(
            self.names
                .iter()
                .map(|(name, _)| name.as_slice())
                .collect::<Vec<_>>()
                .join(&b'/'),
        )
    }

    /// One name further. Instead the target, where the name is a symlink.
    fn enter(&mut self, name: Vec<u8>, lower: Option<&Lower>) -> Result<Option<Vec<u8>>, Stop> {
        let directory = self.inode();
        let inode = match self.tree.lookup(directory, &name) {
            Some(inode) => match self.tree.inode(inode).body {
                Body::Directory { .. } => inode,
                Body::Symlink(target) => return Ok(Some(self.tree.text(target).to_vec())),
                Body::Whiteout => self.make(
                    &name,
                    &Attributes::of_missing_directory(),
                    Body::Directory {
                        opaque: true,
                        implied: false,
                    },
                )?,
                _ => return Err(self.not_a_directory(&name)),
            },
            None => match self.missing(&name, lower)? {
                Missing::Made(inode) => inode,
                Missing::Symlink(target) => return Ok(Some(target)),
            },
        };
        self.names.push((name, inode));
        Ok(None)
    }

    fn missing(&mut self, name: &[u8], lower: Option<&Lower>) -> Result<Missing, Stop> {
        let Some(lower) = lower else {
            let body = Body::Directory {
                opaque: false,
                implied: true,
            };
            return Ok(Missing::Made(self.make(name, &Attributes::of_missing_directory(), body)?));
        };
        let found = match self.lower_path() {
            Some(path) if path.is_empty() => lower.look(name)?,
            Some(path) => lower.look(&[&path, &b"/"[..], name].concat())?,
            None => None,
        };
        let attributes = match found {
            Some(found) => match found.kind {
                FoundKind::Directory => found.attributes,
                FoundKind::Symlink(target) => return Ok(Missing::Symlink(target)),
                _ => return Err(self.not_a_directory(name)),
            },
            None => Attributes::of_missing_directory(),
        };
        Ok(Missing::Made(self.make(
            name,
            &attributes,
            Body::Directory {
                opaque: false,
                implied: false,
            },
        )?))
    }

    fn make(&mut self, name: &[u8], attributes: &Attributes, body: Body) -> Result<InodeId, Stop> {
        let inode = self.tree.add(attributes, body)?;
        self.tree.link(self.inode(), name, inode)?;
        Ok(inode)
    }

    fn not_a_directory(&self, name: &[u8]) -> Stop {
        let path: Vec<&[u8]> = self.names.iter().map(|(name, _)| name.as_slice()).chain([name]).collect();
        Stop::bad_entry(
            &path.join(&b'/'),
            format!("{} is no directory, but an entry lies below it", shown(name)),
        )
    }
}

enum Missing {
    Made(InodeId),
    Symlink(Vec<u8>),
}
