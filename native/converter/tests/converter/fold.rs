//! Layers folded into one show what overlayfs shows of them; random ones are folded in `differential`.

use crate::archive::{Archive, Member};
use crate::support::{Answer, Conversion, Folder, converted, fold, fold_within, inside, mounted, same_tree, shell_in, xattr};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

fn images(layers: Vec<Archive>, folder: &Folder) -> Vec<PathBuf> {
    let blobs: Vec<Vec<u8>> = layers.into_iter().map(Archive::end).collect();
    blobs.iter().map(|blob| converted(&Conversion::of(blob), folder)).collect()
}

fn folded(layers: &[PathBuf], folder: &Folder) -> PathBuf {
    let paths: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
    let image = folder.at("folded");
    match fold(&paths, &image) {
        Answer::Converted(_) => image,
        other => panic!("{other:?}"),
    }
}

/// Version 2, permitted and effective.
const CAPABILITY: &[u8] = b"\x01\0\0\x02\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The overlay is copied out by tar, which the kernel's view of the fold is compared with.
fn same_as_overlay(layers: Vec<Archive>) {
    let folder = Folder::new();
    let layers = images(layers, &folder);
    let expected = folder.at("expected");
    fs::create_dir(&expected).unwrap();
    let paths: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
    let copy = "tar --xattrs --xattrs-include='*' --xattrs-exclude='trusted.overlay.*' -cf - . | \
        tar --xattrs --xattrs-include='*' -C";
    inside(&paths, &format!("{copy} '{}' -xpf -", expected.display()));
    same_tree(&[&folded(&layers, &folder)], &expected);
}

fn root() -> Archive {
    Archive::default().member(Member::new(b'5', b"./").mode(0o755))
}

#[test]
fn whiteouts_opaque_folders_and_what_takes_anothers_place() {
    let lowest = root()
        .dir("d")
        .file("d/a", "1")
        .file("d/b", "1")
        .dir("o")
        .file("o/old", "1")
        .dir("x")
        .file("x/in", "1");
    let middle = root()
        .dir("d")
        .file("d/.wh.a", "")
        .dir("o")
        .file("o/new", "2")
        .file("o/.wh..wh..opq", "")
        .file("x", "now a file");
    let top = root()
        .dir("d")
        .file("d/a", "3")
        .dir("x")
        .file("x/other", "3")
        .file(".wh.never", "");
    same_as_overlay(vec![lowest, middle, top]);
}

#[test]
fn a_folder_is_described_by_its_topmost_layer() {
    let describe = |mode, uid, time| Member::new(b'5', b"d/").mode(mode).owner(uid, 7).time(time);
    let root = |mode| Archive::default().member(Member::new(b'5', b"./").mode(mode).owner(3, 4));
    same_as_overlay(vec![
        root(0o700).member(describe(0o700, 1, 1_000_000_001)).file("d/low", "x"),
        root(0o751).member(describe(0o1777, 2, 1_000_000_002)).file("d/high", "y"),
    ]);
}

#[test]
fn devices_fifos_links_attributes_and_holes_stay() {
    let sparse = Member::new(b'0', b"big").data(&[vec![0; 400 << 10], vec![7; 10]].concat());
    let lowest = root()
        .pax(&[(b"SCHILY.xattr.security.capability", CAPABILITY)])
        .file("capable", "x")
        .pax(&[(b"SCHILY.xattr.user.note", b"kept")])
        .file("attributes", "x")
        .pax(&[(b"SCHILY.xattr.user.d", b"of a folder")])
        .dir("d")
        .member(Member::new(b'3', b"d/null").device(1, 3))
        .member(Member::new(b'4', b"d/disk").device(8, 300))
        .member(Member::new(b'6', b"d/fifo"))
        .symlink("d/link", "../attributes")
        .file("d/one", "linked")
        .hardlink("d/two", "d/one")
        .hardlink("three", "d/one")
        .member(sparse)
        .file("empty", "");
    let top = root().file(".wh.three", "").file("more", "x");
    same_as_overlay(vec![lowest, top]);
}

/// An overlay cannot be asked for these; the image can.
#[test]
fn attributes_of_what_is_no_file_stay_too() {
    let folder = Folder::new();
    let attribute: &[(&[u8], &[u8])] = &[(b"SCHILY.xattr.security.note", b"value")];
    let layer = root()
        .pax(attribute)
        .symlink("link", "x")
        .pax(attribute)
        .member(Member::new(b'6', b"fifo"));
    let layers = images(vec![layer, root().file("y", "")], &folder);
    mounted(&[&folded(&layers, &folder)], |root| {
        for name in ["link", "fifo"] {
            assert_eq!(xattr(&root.join(name), "security.note"), Some(b"value".to_vec()), "{name}");
        }
    });
}

#[test]
fn a_fold_is_folded_on() {
    let folder = Folder::new();
    let layer = |n: u32| {
        root()
            .file(&format!("f{n}"), "x")
            .file(&format!(".wh.f{}", n.wrapping_sub(1)), "")
    };
    let layers = images((1..=4).map(layer).collect(), &folder);
    let two = folded(&layers[..2], &folder);
    let first = folder.at("first");
    fs::rename(two, &first).unwrap();
    let four = folded(&[first, layers[2].clone(), layers[3].clone()], &folder);
    assert_eq!(inside(&[&four], "find . -type f"), "./f4\n");
}

/// Past what overlayfs takes, and with directories large enough to have an index.
#[test]
fn five_hundred_layers_and_a_large_folder() {
    let folder = Folder::new();
    let large = (0..3000).fold(root().dir("d"), |archive, n| archive.file(&format!("d/{n:090}"), "x"));
    let first = converted(&Conversion::of(&large.end()), &folder);
    let mut layers = vec![first];
    for n in 1..500 {
        let layer = root()
            .dir("d")
            .file(&format!("d/{:090}", n * 6), &n.to_string())
            .file(&format!("n{n}"), "");
        layers.push(converted(&Conversion::of(&layer.end()), &folder));
    }
    let image = folded(&layers, &folder);
    assert_eq!(inside(&[&image], "ls d | wc -l; ls | wc -l; cat d/*2994"), "3000\n500\n499");
}

#[test]
fn refused_by_limit() {
    let folder = Folder::new();
    let layers = images(vec![root().file("a", "12345"), root().file("b", "12345")], &folder);
    let paths: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
    let image = folder.at("image");
    let reason = |answer: Answer| match answer {
        Answer::Refused(refused) => refused.reason,
        other => panic!("{other:?}"),
    };
    assert!(matches!(fold_within(&paths, &image, 10, 2), Answer::Converted(_)));
    assert_eq!(reason(fold_within(&paths, &image, 9, 2)), "LAYER_TOO_LARGE");
    assert_eq!(reason(fold_within(&paths, &image, 10, 1)), "LAYER_TOO_MANY_ENTRIES");
}

/// Whatever the disk did to a layer: an answer, and never a layer that shows other names.
#[test]
fn damaged_layers_are_told() {
    let folder = Folder::new();
    let layer = root()
        .dir("d")
        .file("d/f", "some text")
        .symlink("l", "d/f")
        .hardlink("h", "d/f");
    let layers = images(vec![layer, root().file("top", "")], &folder);
    let length = fs::metadata(&layers[0]).unwrap().len();
    let bytes = fs::read(&layers[0]).unwrap();
    for at in (0..length).step_by(7) {
        let file = fs::File::options().write(true).open(&layers[0]).unwrap();
        file.write_all_at(&[bytes[at as usize] ^ 0x41], at).unwrap();
        match fold(&[&layers[0], &layers[1]], &folder.at("image")) {
            Answer::Converted(_) => {}
            Answer::Refused(refused) => assert!(refused.message.starts_with("layer 1 of the store"), "{}", refused.message),
            Answer::NeedsLowers(_) => panic!("needs nothing"),
        }
        file.write_all_at(&[bytes[at as usize]], at).unwrap();
    }
    shell_in(&folder.0, "truncate -s 3000 '0.sqfs' 2>/dev/null || true");
}
