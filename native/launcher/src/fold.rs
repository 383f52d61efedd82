//! Layers of the store to be made one: what the worker asks for, checked.
use crate::layer_key::LayerKey;
use crate::spec::{self, LAYER_ENTRIES, MAX_LAYERS, layers, refuse, within};
use crate::step::Failure;
use caisson_frame::launch;
use std::ops::RangeInclusive;

/// As many as layers may be, of the largest that they may be.
const FOLD_BYTES: RangeInclusive<u64> = 1..=1 << 50;

pub struct Fold {
    pub key: LayerKey,
    pub layers: Vec<LayerKey>,
    pub max_bytes: u64,
    pub max_entries: u64,
}

impl Fold {
    pub fn check(fold: &launch::Fold) -> Result<Self, Failure> {
        let layers = layers("fold.layers", &fold.layers, 2..=MAX_LAYERS)?;
        let key = LayerKey::of_fold(&layers);
        Ok(Self {
            key: key.map_or_else(
                || refuse(format_args!("fold.layers: a folded layer can only be the first")),
                Ok,
            )?,
            layers: spec::without_repeats(layers),
            max_bytes: within("fold.max_bytes", fold.max_bytes, FOLD_BYTES)?,
            max_entries: within("fold.max_entries", fold.max_entries, LAYER_ENTRIES)?,
        })
    }
}
