//! What the layers above name, and what they hide of those below. Paths are kept as hashes: of two that fall together, one in four trillion, one
//! file is told wrongly, which harms nobody.

use crate::Stop;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

pub const MAX_ENTRIES: u64 = 4_000_000;
/// No layer.
pub const NONE: u16 = u16::MAX;

/// The lowest layers above that have the path at all, and that hide whatever is below it.
#[derive(Clone, Copy)]
pub struct Place {
    pub named: u16,
    pub covers: u16,
}

pub struct Above {
    hasher: RandomState,
    places: HashMap<u64, Place>,
    entries: u64,
}

impl Above {
    pub fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            places: HashMap::new(),
            entries: 0,
        }
    }

    pub fn hash(&self, parent: u64, name: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(parent);
        hasher.write(name);
        hasher.finish()
    }

    /// What was there so far; from now on the path is named by this layer too, and if `covers`, all below it is hidden by it.
    pub fn meet(&mut self, path: u64, layer: u16, covers: bool) -> Result<Place, Stop> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(Stop::TooMany);
        }
        let nothing = Place {
            named: NONE,
            covers: NONE,
        };
        let place = self.places.entry(path).or_insert(nothing);
        let before = *place;
        place.named = layer;
        if covers {
            place.covers = layer;
        }
        Ok(before)
    }
}
