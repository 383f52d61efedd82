//! The largest of many files, with room for a few.

use caisson_frame::listing::File;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MAX_PATH_BYTES: usize = 1_024;
const LEFT_OUT: &[u8] = "…".as_bytes();

/// In the order in which it stays: larger first, then the first by its path.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    bytes: u64,
    path: Reverse<Vec<u8>>,
    hidden: Option<u16>,
}

pub struct Largest {
    most: usize,
    /// The one to go is on top.
    kept: BinaryHeap<Reverse<Kept>>,
}

impl Largest {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            kept: BinaryHeap::with_capacity(most + 1),
        }
    }

    /// Paths are put together only for what may stay.
    pub fn offer(&mut self, bytes: u64, hidden: Option<u16>, path: &impl Fn() -> Vec<u8>) {
        let is_full = self.kept.len() >= self.most;
        if bytes == 0 || (is_full && self.kept.peek().is_some_and(|Reverse(last)| last.bytes > bytes)) {
            return;
        }
        let path = Reverse(path());
        self.kept.push(Reverse(Kept { bytes, path, hidden }));
        if is_full {
            self.kept.pop();
        }
    }

    pub fn finish(self) -> Vec<File> {
        let kept = self.kept.into_sorted_vec();
        kept.into_iter()
            .map(|Reverse(kept)| File {
                path: shortened(kept.path.0),
                bytes: kept.bytes,
                overwritten_by: kept.hidden.map(u32::from),
            })
            .collect()
    }
}

fn shortened(path: Vec<u8>) -> Vec<u8> {
    if path.len() <= MAX_PATH_BYTES {
        return path;
    }
    let side = (MAX_PATH_BYTES - LEFT_OUT.len()) / 2;
    [&path[..side], LEFT_OUT, &path[path.len() - side..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_largest_in_order() {
        let mut largest = Largest::new(3);
        for (bytes, path) in [(1, "a"), (5, "c"), (0, "empty"), (5, "b"), (3, "d"), (5, "z"), (2, "e")] {
            largest.offer(bytes, None, &|| path.into());
        }
        let paths: Vec<_> = largest.finish().into_iter().map(|file| (file.bytes, file.path)).collect();
        assert_eq!(paths, [(5, b"b".to_vec()), (5, b"c".to_vec()), (5, b"z".to_vec())]);
    }

    #[test]
    fn long_paths_lose_their_middle() {
        let path = shortened([vec![b'a'; 2000], b"/end".to_vec()].concat());
        assert!(path.len() <= MAX_PATH_BYTES && path.ends_with(b"/end"));
        assert_eq!(shortened(vec![b'a'; MAX_PATH_BYTES]).len(), MAX_PATH_BYTES);
    }
}
