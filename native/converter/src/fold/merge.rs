//! The union of images by overlayfs's rules. Directories of one path are one, described by the topmost; of anything else the topmost counts,
//! and ends what lies below; a whiteout is nothing and ends it too, as an opaque directory does below itself.

use crate::refuse::Stop;
use crate::squashfs::{Child, DataWriter, FilePlace, Image, Listing, Node, NodeKind};
use crate::tree::{Body, Content, InodeId, NO_FRAGMENT, ROOT, Tree};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// A layer's paths have 1,024 components; that symlinks lead on from there is how they can end up deeper.
const MAX_DEPTH: usize = 1 << 16;
const OPAQUE: &[u8] = b"trusted.overlay.opaque";

/// `images`: topmost first.
pub fn merge(images: &[Image], tree: &mut Tree, data: &mut DataWriter) -> Result<(), Stop> {
    let mut merger = Merger {
        images,
        tree,
        data,
        linked: HashMap::new(),
        fragments: HashMap::new(),
    };
    let root = merger.root()?;
    merger.descend(root)
}

/// A layer that has a name, and where its inode is there.
type Found = (usize, u64);

struct Name {
    text: Vec<u8>,
    /// Topmost first.
    found: Vec<Found>,
}

/// A directory on the way down: the layers that show in it, and the next name of each.
struct Directory<'a> {
    inode: InodeId,
    listings: Vec<(usize, Listing<'a>)>,
    /// Name, place in `listings`, where the inode is: of one name the topmost comes first.
    next: BinaryHeap<Reverse<(Vec<u8>, usize, u64)>>,
}

struct Merger<'a> {
    images: &'a [Image],
    tree: &'a mut Tree,
    data: &'a mut DataWriter,
    /// Inodes of several names, by layer and number.
    linked: HashMap<(usize, u32), InodeId>,
    /// Blocks of small files, by layer and number.
    fragments: HashMap<(usize, u32), u32>,
}

impl<'a> Merger<'a> {
    /// Of the root overlayfs merges all layers, whatever marks they have.
    fn root(&mut self) -> Result<Directory<'a>, Stop> {
        let nodes = self.images.iter().map(Image::root).collect::<Result<Vec<_>, _>>()?;
        if let (Some(image), Some(node)) = (self.images.first(), nodes.first()) {
            self.tree.describe(ROOT, &image.attributes(node)?)?;
        }
        Directory::open(self.images, ROOT, nodes.into_iter().enumerate())
    }

    /// Without recursion, however deep it is.
    fn descend(&mut self, root: Directory<'a>) -> Result<(), Stop> {
        let mut path = vec![root];
        while let Some(directory) = path.last_mut() {
            let Some(Name { text, found }) = directory.next()? else {
                path.pop();
                continue;
            };
            let parent = directory.inode;
            if let Some(inside) = self.add(parent, &text, &found)? {
                if path.len() > MAX_DEPTH {
                    return Err(Stop::too_large(format!("directories are more than {MAX_DEPTH} deep")));
                }
                path.push(inside);
            }
        }
        Ok(())
    }

    /// `found`: each layer that has the name, topmost first. Gives the directory to descend into.
    fn add(&mut self, parent: InodeId, name: &[u8], found: &[Found]) -> Result<Option<Directory<'a>>, Stop> {
        let (layer, reference) = found[0];
        let images = self.images;
        let image = &images[layer];
        let node = image.node(reference)?;
        if node.is_whiteout() {
            return Ok(None);
        }
        if let NodeKind::Directory { .. } = node.kind {
            let attributes = image.attributes(&node)?;
            let body = Body::Directory {
                opaque: false,
                implied: false,
            };
            let inode = self.tree.add(&attributes, body)?;
            self.tree.link(parent, name, inode)?;
            let merged = merged(images, node, found)?;
            return Directory::open(images, inode, merged.into_iter()).map(Some);
        }
        let inode = self.leaf(layer, &node)?;
        self.tree.link(parent, name, inode)?;
        Ok(None)
    }

    fn leaf(&mut self, layer: usize, node: &Node) -> Result<InodeId, Stop> {
        if let Some(inode) = self.linked.get(&(layer, node.number)) {
            return Ok(*inode);
        }
        let image = &self.images[layer];
        let attributes = image.attributes(node)?;
        let body = match &node.kind {
            NodeKind::File(place) => Body::File(self.copy(layer, place)?),
            NodeKind::Symlink(target) => Body::Symlink(self.tree.store(target)?),
            NodeKind::CharDevice(number) => Body::CharDevice(*number),
            NodeKind::BlockDevice(number) => Body::BlockDevice(*number),
            NodeKind::Fifo => Body::Fifo,
            NodeKind::Directory { .. } => unreachable!("add takes directories"),
        };
        let inode = self.tree.add(&attributes, body)?;
        if node.links > 1 {
            self.linked.insert((layer, node.number), inode);
        }
        Ok(inode)
    }

    /// Data goes over as it is stored. Of small files their whole block does, with what others had in it.
    fn copy(&mut self, layer: usize, place: &FilePlace) -> Result<Content, Stop> {
        let image = &self.images[layer];
        if place.fragment == NO_FRAGMENT {
            let mut at = place.start;
            let blocks = place.blocks.iter().map(|&size| {
                let stored = image.stored(at, size)?;
                at += stored.bytes.len() as u64;
                Ok(stored)
            });
            return self.data.stored_file(place.size, blocks);
        }
        let fragment = match self.fragments.get(&(layer, place.fragment)) {
            Some(fragment) => *fragment,
            None => {
                let fragment = self.data.stored_fragment(&image.fragment(place.fragment)?)?;
                self.fragments.insert((layer, place.fragment), fragment);
                fragment
            }
        };
        self.data.part_of_fragment(place.size, fragment, place.fragment_offset)
    }
}

impl<'a> Directory<'a> {
    fn open(images: &'a [Image], inode: InodeId, nodes: impl Iterator<Item = (usize, Node)>) -> Result<Self, Stop> {
        let mut directory = Self {
            inode,
            listings: Vec::new(),
            next: BinaryHeap::new(),
        };
        for (layer, node) in nodes {
            let listing = Listing::of(&images[layer], &node)?;
            let listing = listing.ok_or_else(|| images[layer].metadata.damaged("root"))?;
            directory.listings.push((layer, listing));
            directory.read_on(directory.listings.len() - 1)?;
        }
        Ok(directory)
    }

    fn next(&mut self) -> Result<Option<Name>, Stop> {
        let Some(Reverse((text, place, reference))) = self.next.pop() else {
            return Ok(None);
        };
        let mut found = vec![(self.listings[place].0, reference)];
        self.read_on(place)?;
        while let Some(Reverse((other, _, _))) = self.next.peek()
            && *other == text
        {
            let Some(Reverse((_, place, reference))) = self.next.pop() else {
                break;
            };
            found.push((self.listings[place].0, reference));
            self.read_on(place)?;
        }
        Ok(Some(Name { text, found }))
    }

    fn read_on(&mut self, place: usize) -> Result<(), Stop> {
        if let Some(Child { name, reference }) = self.listings[place].1.next()? {
            self.next.push(Reverse((name, place, reference)));
        }
        Ok(())
    }
}

/// The directories of one path that show through each other.
fn merged(images: &[Image], top: Node, found: &[Found]) -> Result<Vec<(usize, Node)>, Stop> {
    let mut merged = vec![(found[0].0, top)];
    for &(layer, reference) in &found[1..] {
        let (above, node) = &merged[merged.len() - 1];
        if is_opaque(&images[*above], node)? {
            break;
        }
        let node = images[layer].node(reference)?;
        if !matches!(node.kind, NodeKind::Directory { .. }) {
            break;
        }
        merged.push((layer, node));
    }
    Ok(merged)
}

fn is_opaque(image: &Image, node: &Node) -> Result<bool, Stop> {
    Ok(image
        .xattrs(node)?
        .iter()
        .any(|xattr| xattr.name == OPAQUE && xattr.value == b"y"))
}
