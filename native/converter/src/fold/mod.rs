//! Several layers as one: what overlayfs would show of them. Only the oldest of an image are folded, so nothing is left to hide below.

mod merge;

use crate::args::Fold;
use crate::plan::Plan;
use crate::refuse::Stop;
use crate::squashfs::{self, DataWriter, Image, Output};
use crate::tree::Tree;
use caisson_frame::launch::Converted;
use std::fs::File;

/// `layers`: images of the store, oldest first.
pub fn fold(fold: &Fold, layers: Vec<File>, output: File, spool: File) -> Result<Converted, Stop> {
    let images = layers.into_iter().enumerate().map(|(index, file)| Image::open(file, index));
    let mut images = images.collect::<Result<Vec<_>, _>>()?;
    // Topmost first, as overlayfs looks.
    images.reverse();
    let mut tree = Tree::new(fold.max_entries)?;
    let mut data = DataWriter::new(Output::to_keep(output, "output"), fold.max_bytes)?;
    merge::merge(&images, &mut tree, &mut data)?;
    let plan = Plan::of(&tree)?;
    let bytes = data.file_bytes();
    squashfs::write(&tree, &plan, data, Output::new(spool, "spool"))?;
    Ok(Converted {
        entries: u64::from(tree.name_count()),
        uncompressed_bytes: bytes,
    })
}
