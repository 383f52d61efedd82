//! What is told of one layer, gathered while its files pass by.

use crate::above::NONE;
use crate::largest::Largest;
use caisson_frame::listing::Listing;
use std::collections::HashMap;

pub struct Found {
    pub number: u32,
    pub bytes: u64,
    /// Names that it has in this layer.
    pub links: u32,
    /// The lowest layer above that hides this name.
    pub hidden: u16,
}

pub struct Report {
    files: u64,
    bytes: u64,
    overwritten_files: u64,
    overwritten_bytes: u64,
    pub removals: u64,
    largest: Largest,
    overwritten: Largest,
    /// Files with several names, by number: names still to come, and what hides those that came.
    linked: HashMap<u32, (u32, Option<u16>)>,
}

impl Report {
    pub fn new(most: usize) -> Self {
        Self {
            files: 0,
            bytes: 0,
            overwritten_files: 0,
            overwritten_bytes: 0,
            removals: 0,
            largest: Largest::new(most),
            overwritten: Largest::new(most),
            linked: HashMap::new(),
        }
    }

    /// A file counts with its last name, when it is known whether any of them is still seen.
    pub fn file(&mut self, found: &Found, path: impl Fn() -> Vec<u8>) {
        let hidden = Some(found.hidden).filter(|&layer| layer != NONE);
        let hidden = if found.links < 2 {
            hidden
        } else {
            let (left, so_far) = self.linked.entry(found.number).or_insert((found.links, Some(0)));
            *left = left.saturating_sub(1);
            // Gone is what has no name left: with the highest of the layers that took them.
            *so_far = so_far.zip(hidden).map(|(one, other)| one.max(other));
            if *left > 0 {
                return;
            }
            *so_far
        };
        self.count(found.bytes, hidden, path);
    }

    fn count(&mut self, bytes: u64, hidden: Option<u16>, path: impl Fn() -> Vec<u8>) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.largest.offer(bytes, hidden, &path);
        if hidden.is_some() {
            self.overwritten_files += 1;
            self.overwritten_bytes = self.overwritten_bytes.saturating_add(bytes);
            self.overwritten.offer(bytes, hidden, &path);
        }
    }

    pub fn finish(self, layer: usize) -> Listing {
        Listing {
            layer: layer as u32,
            files: self.files,
            bytes: self.bytes,
            overwritten_files: self.overwritten_files,
            overwritten_bytes: self.overwritten_bytes,
            removals: self.removals,
            largest: self.largest.finish(),
            overwritten: self.overwritten.finish(),
        }
    }
}
