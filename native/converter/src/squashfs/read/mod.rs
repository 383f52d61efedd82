//! Reads the images that `write` makes, and no others: what another program could have made is damage. Whoever wrote it, nothing here is
//! believed before it was compared with what the file has.

mod image;
mod listing;
mod metadata;
mod node;
mod xattrs;

pub use image::Image;
pub use listing::{Child, Listing};
pub use node::{FilePlace, Node, NodeKind};
