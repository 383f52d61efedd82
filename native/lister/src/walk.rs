//! Through the tree of one layer, from its root, without recursion however deep it is.

use crate::Stop;
use crate::above::{Above, NONE};
use crate::image::{Directory, Image, Node};
use crate::report::{Found, Report};

/// A directory on the way: its own name, and where it is.
struct Step {
    parent: usize,
    name: Vec<u8>,
    hash: u64,
    /// The lowest layer above that hides all of it.
    covered: u16,
}

pub fn walk(image: &mut Image, above: &mut Above, layer: u16, report: &mut Report) -> Result<(), Stop> {
    let Node::Directory(root) = image.node(image.root)? else {
        return Err(Stop::Broken("its root is no directory".into()));
    };
    let mut steps = vec![Step {
        parent: 0,
        name: Vec::new(),
        hash: 0,
        covered: NONE,
    }];
    let mut todo: Vec<(usize, Directory)> = vec![(0, root)];
    while let Some((at, directory)) = todo.pop() {
        for entry in image.entries(&directory)? {
            let (hash, covered) = (above.hash(steps[at].hash, &entry.name), steps[at].covered);
            match image.node(entry.inode)? {
                Node::Directory(inside) => {
                    report.removals += u64::from(inside.opaque);
                    let place = above.meet(hash, layer, inside.opaque)?;
                    todo.push((steps.len(), inside));
                    steps.push(Step {
                        parent: at,
                        name: entry.name,
                        hash,
                        covered: covered.min(place.covers),
                    });
                }
                Node::Whiteout => {
                    report.removals += 1;
                    above.meet(hash, layer, true)?;
                }
                Node::File { number, bytes, links } => {
                    let place = above.meet(hash, layer, true)?;
                    let hidden = covered.min(place.named);
                    let found = Found {
                        number,
                        bytes,
                        links,
                        hidden,
                    };
                    report.file(&found, || path(&steps, at, &entry.name));
                }
                Node::Other => {
                    above.meet(hash, layer, true)?;
                }
            }
        }
    }
    Ok(())
}

fn path(steps: &[Step], directory: usize, name: &[u8]) -> Vec<u8> {
    let mut names = vec![name];
    let mut at = directory;
    while at != 0 {
        names.push(&steps[at].name);
        at = steps[at].parent;
    }
    names.reverse();
    names.join(&b'/')
}
