//! What of the tree goes into the image, and in which order: pure.

use crate::refuse::Stop;
use crate::tree::{Body, InodeId, ROOT, Tree};
use std::ops::Range;

pub struct Plan {
    /// Places of names, by directory, then by their bytes.
    order: Vec<u32>,
    /// Each after all that it contains; the root is last.
    pub directories: Vec<Directory>,
    /// By inode: its number in the image, counted from 1 in the order of writing; 0 for what is out of the tree.
    numbers: Vec<u32>,
    links: Vec<u32>,
    pub count: u32,
}

pub struct Directory {
    pub inode: InodeId,
    pub parent: InodeId,
    names: Range<u32>,
}

impl Plan {
    pub fn of(tree: &Tree) -> Result<Self, Stop> {
        let mut order: Vec<u32> = (0..tree.name_count()).collect();
        order.sort_unstable_by_key(|&place| {
            let (directory, text, _) = tree.name(place);
            (directory, text)
        });
        let mut plan = Self {
            order,
            directories: Vec::new(),
            numbers: vec![0; tree.inode_count() as usize],
            links: vec![0; tree.inode_count() as usize],
            count: 0,
        };
        plan.order_directories(tree)?;
        plan.number(tree);
        Ok(plan)
    }

    pub fn names<'a>(&'a self, tree: &'a Tree, directory: &Directory) -> impl ExactSizeIterator<Item = (&'a [u8], InodeId)> {
        (0..directory.names.len()).map({
            let names = directory.names.clone();
            move |at| self.name(tree, &names, at)
        })
    }

    pub fn name_at<'a>(&self, tree: &'a Tree, directory: &Directory, at: usize) -> (&'a [u8], InodeId) {
        self.name(tree, &directory.names, at)
    }

    pub fn name_count(&self, directory: &Directory) -> usize {
        directory.names.len()
    }

    pub fn number_of(&self, inode: InodeId) -> u32 {
        self.numbers[inode as usize]
    }

    pub fn links_of(&self, inode: InodeId) -> u32 {
        self.links[inode as usize]
    }

    fn name<'a>(&self, tree: &'a Tree, names: &Range<u32>, at: usize) -> (&'a [u8], InodeId) {
        let (_, text, inode) = tree.name(self.order[names.start as usize + at]);
        (text, inode)
    }

    /// From the root down, then turned round: so a directory comes after all that is inside, with no recursion however deep it is.
    fn order_directories(&mut self, tree: &Tree) -> Result<(), Stop> {
        let mut todo = vec![(ROOT, ROOT)];
        while let Some((inode, parent)) = todo.pop() {
            let start = self.order.partition_point(|&place| tree.name(place).0 < inode) as u32;
            let end = self.order.partition_point(|&place| tree.name(place).0 <= inode) as u32;
            let directory = Directory {
                inode,
                parent,
                names: start..end,
            };
            let mut links = 2;
            for (_, child) in self.names(tree, &directory) {
                match tree.inode(child).body {
                    Body::Directory { implied: true, .. } => return Err(Stop::NeedsLowers),
                    Body::Directory { .. } => {
                        todo.push((child, inode));
                        links += 1;
                    }
                    _ => {}
                }
            }
            self.links[inode as usize] = links;
            self.directories.push(directory);
        }
        self.directories.reverse();
        Ok(())
    }

    fn number(&mut self, tree: &Tree) {
        let (mut numbers, mut links) = (std::mem::take(&mut self.numbers), std::mem::take(&mut self.links));
        let mut number = |inode: InodeId| {
            if numbers[inode as usize] == 0 {
                self.count += 1;
                numbers[inode as usize] = self.count;
            }
        };
        for directory in &self.directories {
            for at in directory.names.clone() {
                let (_, _, child) = tree.name(self.order[at as usize]);
                if !matches!(tree.inode(child).body, Body::Directory { .. }) {
                    links[child as usize] += 1;
                    number(child);
                }
            }
            number(directory.inode);
        }
        (self.numbers, self.links) = (numbers, links);
    }
}
