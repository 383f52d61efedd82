//! A worker's talk about the store: which layers must stay, which may go, and whether they are sound.
use crate::layer_key::LayerKey;
use crate::layers::Layers;
use crate::spec::{self, MAX_KEYS};
use crate::step::Failure;
use crate::store::Stored;
use caisson_frame::launch::{Held, Hold, Release, Released, Remove, Removed, Verified, Verify};
use std::collections::HashMap;

pub struct Keeping<'a> {
    layers: &'a Layers,
    /// How often this connection holds each.
    held: HashMap<LayerKey, usize>,
}

impl<'a> Keeping<'a> {
    pub fn new(layers: &'a Layers) -> Self {
        Self {
            layers,
            held: HashMap::new(),
        }
    }

    pub fn hold(&mut self, hold: &Hold) -> Result<Held, Failure> {
        let keys = spec::layers("hold.keys", &hold.keys, 1..=MAX_KEYS)?;
        for key in &keys {
            *self.held.entry(key.clone()).or_default() += 1;
        }
        let missing = self.layers.hold(&keys);
        Ok(Held {
            missing: texts(&missing),
        })
    }

    /// What others hold is not its to release.
    pub fn release(&mut self, release: &Release) -> Result<Released, Failure> {
        let keys = spec::layers("release.keys", &release.keys, 1..=MAX_KEYS)?;
        for key in &keys {
            match self.held.get_mut(key) {
                None => return spec::refuse(format_args!("release.keys {}: is not held", key.as_str())),
                Some(1) => {
                    self.held.remove(key);
                }
                Some(count) => *count -= 1,
            }
            self.layers.release(std::slice::from_ref(key));
        }
        Ok(Released {})
    }

    pub fn remove(&self, remove: &Remove) -> Result<Removed, Failure> {
        let keys = spec::layers("remove.keys", &remove.keys, 0..=MAX_KEYS)?;
        let removed = if keys.is_empty() {
            self.layers.shrink(remove.keep_bytes)?
        } else {
            self.layers.remove(&keys)?
        };
        Ok(Removed {
            keys: keys_of(&removed),
            bytes: removed.iter().map(|layer| layer.bytes).sum(),
        })
    }

    pub fn verify(&self, verify: &Verify) -> Result<Verified, Failure> {
        let key = spec::key("verify.key", &verify.key)?;
        Ok(match self.layers.verify(&key)? {
            None => Verified::default(),
            Some((stored_bytes, problem)) => Verified {
                found: true,
                stored_bytes,
                problem: problem.unwrap_or_default(),
            },
        })
    }
}

/// The connection is over, and with it what it held.
impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        for (key, count) in &self.held {
            for _ in 0..*count {
                self.layers.release(std::slice::from_ref(key));
            }
        }
    }
}

pub fn keys_of(stored: &[Stored]) -> Vec<String> {
    stored.iter().map(|layer| layer.key.as_str().into()).collect()
}

fn texts(keys: &[LayerKey]) -> Vec<String> {
    keys.iter().map(|key| key.as_str().into()).collect()
}
