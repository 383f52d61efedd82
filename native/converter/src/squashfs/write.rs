use super::data::Data;
use super::directory::{Listed, write_listing};
use super::inode::{self, Facts};
use super::metadata::MetadataWriter;
use super::superblock::{self, Summary};
use super::tables::{write_fragments, write_owners, write_xattrs};
use super::{DataWriter, Output};
use crate::plan::{Directory, Plan};
use crate::refuse::Stop;
use crate::tree::{Body, InodeId, ROOT, Tree};

/// Loop devices have whole sectors, and some want whole pages.
const PAD_BYTES: u64 = 4096;

const UNWRITTEN: u64 = u64::MAX;

/// Inodes and directories grow together, but lie one after the other: the directories wait in the spool.
pub fn write(tree: &Tree, plan: &Plan, data: DataWriter, mut spool: Output) -> Result<(), Stop> {
    let (mut output, data) = data.finish()?;
    let inode_table = output.position();
    let mut writer = Writer {
        tree,
        plan,
        data: &data,
        references: vec![UNWRITTEN; tree.inode_count() as usize],
        inodes: MetadataWriter::new(&mut output),
        listings: MetadataWriter::new(&mut spool),
    };
    for directory in &plan.directories {
        writer.directory(directory)?;
    }
    let root = writer.references[ROOT as usize];
    writer.inodes.finish()?;
    writer.listings.finish()?;

    let directory_table = output.position();
    output.append(spool)?;
    // The kernel checks that the tables come in this order, without gaps.
    let fragment_table = write_fragments(&mut output, &data.fragments)?;
    let owner_table = write_owners(&mut output, tree.owners())?;
    let xattr_table = write_xattrs(&mut output, tree.xattrs())?;
    let bytes = output.position();
    output.write(&vec![0; (bytes.wrapping_neg() % PAD_BYTES) as usize])?;
    let summary = Summary {
        inodes: plan.count,
        fragments: data.fragments.len() as u32,
        owners: tree.owners().len() as u16,
        root,
        bytes,
        owner_table,
        xattr_table,
        inode_table,
        directory_table,
        fragment_table,
    };
    output.write_at_start(&superblock::encode(&summary))
}

struct Writer<'a> {
    tree: &'a Tree,
    plan: &'a Plan,
    data: &'a Data,
    /// By inode: where it is in the table of inodes.
    references: Vec<u64>,
    inodes: MetadataWriter<'a>,
    listings: MetadataWriter<'a>,
}

impl Writer<'_> {
    fn directory(&mut self, directory: &Directory) -> Result<(), Stop> {
        for (_, child) in self.plan.names(self.tree, directory) {
            // Directories inside were written before; of hard links the first name writes.
            if self.references[child as usize] == UNWRITTEN {
                let bytes = self.encode(child);
                self.write(child, &bytes)?;
            }
        }
        let (tree, plan, references) = (self.tree, self.plan, &self.references);
        let listing = write_listing(&mut self.listings, plan.name_count(directory), |at| {
            let (name, child) = plan.name_at(tree, directory, at);
            let kind = inode::kind(&tree.inode(child).body);
            Listed {
                name,
                reference: references[child as usize],
                number: plan.number_of(child),
                kind,
            }
        })?;
        // The root's parent is no inode of this image.
        let parent = if directory.inode == ROOT {
            plan.count + 1
        } else {
            plan.number_of(directory.parent)
        };
        let bytes = inode::directory(tree.inode(directory.inode), &self.facts(directory.inode), parent, &listing);
        self.write(directory.inode, &bytes)
    }

    fn encode(&self, id: InodeId) -> Vec<u8> {
        let (inode, facts) = (self.tree.inode(id), self.facts(id));
        match &inode.body {
            Body::File(content) => inode::file(inode, &facts, content, &self.data.block_sizes),
            Body::Symlink(target) => inode::symlink(inode, &facts, self.tree.text(*target)),
            Body::CharDevice(number) | Body::BlockDevice(number) => inode::special(inode, &facts, Some(*number)),
            Body::Whiteout => inode::special(inode, &facts, Some(0)),
            Body::Fifo => inode::special(inode, &facts, None),
            Body::Directory { .. } => unreachable!("the plan has directories before what contains them"),
        }
    }

    fn write(&mut self, id: InodeId, bytes: &[u8]) -> Result<(), Stop> {
        self.references[id as usize] = self.inodes.position().reference();
        self.inodes.write(bytes)
    }

    fn facts(&self, id: InodeId) -> Facts {
        Facts {
            number: self.plan.number_of(id),
            links: self.plan.links_of(id),
        }
    }
}
