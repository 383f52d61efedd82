use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn tree() -> Tree {
    Tree::new(1000).unwrap()
}

/// What a million entries cost: with their names, twenty bytes each, about 100 MiB.
#[test]
fn inodes_and_names_are_small() {
    assert!(size_of::<Inode>() <= 56, "{}", size_of::<Inode>());
    assert!(size_of::<Name>() <= 16, "{}", size_of::<Name>());
}

#[test]
fn limits_hold() {
    let mut tree = Tree::new(2).unwrap();
    let plain = Attributes::of_missing_directory();
    let file = tree.add(&plain, Body::Fifo).unwrap();
    tree.link(ROOT, b"a", file).unwrap();
    tree.link(ROOT, b"b", file).unwrap();
    tree.add(&plain, Body::Fifo).unwrap();
    assert_eq!(tree.add(&plain, Body::Fifo), Err(too_many(2)));
    tree.link(ROOT, b"c", file).unwrap();
    assert_eq!(tree.link(ROOT, b"d", file), Err(too_many(2)));
    assert!(tree.store(&vec![0; MAX_TEXT_BYTES]).is_err());
}

proptest! {
    /// Names given, in any order and again, against a map.
    #[test]
    fn the_last_inode_of_a_name_counts(steps in proptest::collection::vec((0..5u32, "[ab]{1,2}", 1..5u32), 0..60)) {
        let (mut tree, mut model) = (tree(), BTreeMap::new());
        for _ in 0..5 {
            tree.add(&Attributes::of_missing_directory(), Body::Fifo).unwrap();
        }
        for (directory, name, inode) in steps {
            tree.link(directory, name.as_bytes(), inode).unwrap();
            model.insert((directory, name), inode);
        }
        prop_assert_eq!(tree.name_count() as usize, model.len());
        for ((directory, name), inode) in model {
            prop_assert_eq!(tree.lookup(directory, name.as_bytes()), Some(inode));
        }
    }
}
