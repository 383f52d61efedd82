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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Attributes;
    use proptest::prelude::*;

    const DIRECTORY: Body = Body::Directory {
        opaque: false,
        implied: false,
    };

    fn add(tree: &mut Tree, directory: InodeId, name: &str, body: Body) -> InodeId {
        let inode = tree.add(&Attributes::of_missing_directory(), body).unwrap();
        tree.link(directory, name.as_bytes(), inode).unwrap();
        inode
    }

    #[test]
    fn what_is_replaced_is_left_out() {
        let mut tree = Tree::new(100).unwrap();
        let old = add(&mut tree, ROOT, "d", DIRECTORY);
        let inside = add(&mut tree, old, "f", Body::Fifo);
        let new = add(&mut tree, ROOT, "d", Body::Fifo);
        tree.link(ROOT, b"link", new).unwrap();
        let plan = Plan::of(&tree).unwrap();
        assert_eq!((plan.count, plan.number_of(old), plan.number_of(inside)), (2, 0, 0));
        assert_eq!((plan.links_of(new), plan.links_of(ROOT)), (2, 2));
    }

    #[test]
    fn an_implied_directory_asks_for_lowers_unless_it_is_gone() {
        let mut tree = Tree::new(100).unwrap();
        add(
            &mut tree,
            ROOT,
            "d",
            Body::Directory {
                opaque: false,
                implied: true,
            },
        );
        assert!(matches!(Plan::of(&tree), Err(Stop::NeedsLowers)));
        add(&mut tree, ROOT, "d", Body::Fifo);
        assert!(Plan::of(&tree).is_ok());
    }

    proptest! {
        /// Directories come after all inside them, names in the order of their bytes, numbers in the order of writing and without gaps.
        #[test]
        fn order_holds_for_any_tree(parents in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>(), "[a-c\u{e9}]{1,3}"), 0..60)) {
            let mut tree = Tree::new(1000).unwrap();
            let mut directories = vec![ROOT];
            for (parent, is_directory, name) in parents {
                let parent = directories[parent.index(directories.len())];
                let inode = add(&mut tree, parent, &name, if is_directory { DIRECTORY } else { Body::Fifo });
                if is_directory {
                    directories.push(inode);
                }
            }
            let plan = Plan::of(&tree).unwrap();
            let mut written = 0;
            for directory in &plan.directories {
                let names: Vec<_> = plan.names(&tree, directory).collect();
                prop_assert!(names.windows(2).all(|pair| pair[0].0 < pair[1].0));
                for (_, child) in names {
                    if matches!(tree.inode(child).body, Body::Directory { .. }) {
                        prop_assert!(plan.number_of(child) <= written);
                    } else {
                        written += 1;
                        prop_assert_eq!(plan.number_of(child), written);
                    }
                }
                written += 1;
                prop_assert_eq!(plan.number_of(directory.inode), written);
            }
            prop_assert_eq!(plan.count, written);
            prop_assert_eq!(plan.directories.last().unwrap().inode, ROOT);
        }
    }
}
