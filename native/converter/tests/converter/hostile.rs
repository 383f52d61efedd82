//! Layers that want harm, or are broken: each is refused by a reason, in words that name entry or limit.

use crate::archive::{Archive, Member};
use crate::support::{Conversion, Folder, converted, inside, refused, sha256};
use std::io::Write;

pub fn refuse(blob: &[u8], reason: &str, words: &str) {
    let (given, message) = refused(&Conversion::of(blob));
    assert_eq!(given, reason, "{message}");
    assert!(message.contains(words), "{message:?} does not say {words:?}");
    assert!(message.len() < 700, "{} bytes of message", message.len());
}

pub fn bad_entry(archive: Archive, words: &str) {
    refuse(&archive.end(), "LAYER_BAD_ENTRY", words);
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn names_that_lead_elsewhere() {
    for path in ["../f", "d/../../f", "/..", "d/.."] {
        bad_entry(Archive::default().dir("d").file(path, "x"), "a path with ..");
    }
    bad_entry(Archive::default().file("f", "x").hardlink("g", "../f"), "a path with ..");
    bad_entry(Archive::default().pax(&[(b"path", b"a\0b")]).file("x", ""), "NUL");
    bad_entry(
        Archive::default().pax(&[(b"linkpath", b"a\0b")]).symlink("x", "y"),
        "symlink target",
    );
}

#[test]
fn entries_that_cannot_be() {
    bad_entry(Archive::default().file("f", "x").file("f/g", "x"), "f is no directory");
    bad_entry(
        Archive::default().symlink("a", "b").symlink("b", "a").file("a/f", "x"),
        "symlinks",
    );
    bad_entry(
        Archive::default().file("f", "x").symlink("s", "f").file("s/g", "x"),
        "f is no directory",
    );
    bad_entry(Archive::default().dir("d").hardlink("h", "d"), "hard link to a directory");
    bad_entry(Archive::default().hardlink("h", "/"), "hard link to the root");
    bad_entry(Archive::default().file("./", "x"), "the root is a directory");
    bad_entry(Archive::default().dir(".wh.d").file(".wh.d/f", "x"), "below a whiteout");
    bad_entry(Archive::default().file(".wh.", "x"), "whiteout of no name");
    bad_entry(Archive::default().file(".wh...", "x"), "whiteout of no name");
    bad_entry(Archive::default().member(Member::new(b'3', b"c").device(4096, 0)), "4096:0");
    for kind in *b"VMDNXZ" {
        bad_entry(Archive::default().member(Member::new(kind, b"odd")), "not supported");
    }
}

#[test]
fn headers_that_lie() {
    bad_entry(
        Archive {
            bytes: {
                let mut bytes = Member::new(b'0', b"f").bytes();
                bytes[0] ^= 1;
                bytes
            },
        },
        "checksum",
    );
    bad_entry(
        Archive::default().member(Member::new(b'0', b"f").text(124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
        "negative size",
    );
    bad_entry(
        Archive::default().member(Member::new(b'0', b"f").text(124, b"12z45678901\0")),
        "size is no number",
    );
    bad_entry(
        Archive::default().member(Member::new(b'0', b"f").text(108, b"\x80\0\0\x01\0\0\0\0")),
        "uid 4294967296",
    );
    bad_entry(
        Archive::default().pax(&[(b"gid", b"4294967295")]).file("f", ""),
        "gid 4294967295",
    );
    bad_entry(
        Archive::default().pax(&[(b"uid", b"-1")]).file("f", ""),
        "uid has a bad value",
    );
    bad_entry(
        Archive::default().pax(&[(b"size", b"-1")]).file("f", ""),
        "size has a bad value",
    );
    bad_entry(
        Archive::default()
            .pax(&[(b"SCHILY.xattr.user.x", &vec![0; 65537])])
            .file("f", ""),
        "65537 bytes",
    );
    bad_entry(
        Archive::default().pax(&[(b"comment", &vec![b'x'; 1 << 20])]).file("f", ""),
        "at most 1048576",
    );
    bad_entry(
        Archive::default()
            .member(Member::new(b'x', b"x").data(b"13 no newline"))
            .file("f", ""),
        "malformed record",
    );
    bad_entry(
        Archive::default()
            .pax(&[(b"path", b"a")])
            .pax(&[(b"path", b"b")])
            .file("f", ""),
        "two extended headers",
    );
    bad_entry(
        Archive::default()
            .member(Member::new(b'g', b"g").data(b"9 size=1\n"))
            .file("f", ""),
        "size for all",
    );
    let mut one_zero = Archive::default().file("f", "x");
    one_zero.bytes.extend([0; 512]);
    bad_entry(one_zero.file("g", "x"), "end mark");
}

/// The size in the extended header is what counts: by that of the field alone, the data would be read as entries.
#[test]
fn data_is_never_read_as_entries() {
    let folder = Folder::new();
    let hidden = Archive::default().file("hidden", "x").bytes;
    let size = hidden.len().to_string();
    let blob = Archive::default()
        .pax(&[(b"size", size.as_bytes())])
        .member(Member::new(b'0', b"f").stored(&hidden))
        .file("seen", "x")
        .end();
    let image = converted(&Conversion::of(&blob), &folder);
    assert_eq!(inside(&[&image], "ls"), "f\nseen\n");
}

#[test]
fn sparse_maps_that_do_not_fit() {
    let sparse = |map: &'static [u8]| {
        Archive::default()
            .pax(&[(b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", map)])
            .file("f", "0123456789")
    };
    for map in [
        &b"0,5,2,5"[..],
        b"90,10,0,0",
        b"95,10",
        b"0,9",
        b"18446744073709551615,10",
        b"0,9223372036854775807,9223372036854775807,1",
    ] {
        bad_entry(sparse(map), "");
    }
    let in_data = Archive::default()
        .pax(&[
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.realsize", b"9"),
        ])
        .file("f", "99999999\n1\n");
    bad_entry(in_data, "bad sparse map");
}

#[test]
fn every_cut_is_told() {
    let whole = Archive::default().pax(&[(b"path", b"long")]).file("f", "data").end();
    // Behind the first entry, at 2048, an archive without its end mark is whole.
    for cut in [1, 511, 513, 600, 1024, 1100, 1540, 2047, 2049, 2560 - 1] {
        refuse(&whole[..cut], "LAYER_TRUNCATED", "layer ends inside");
    }
    let (packed, diff_id) = (gzip(&whole), Some(format!("sha256:{}", sha256(&whole))));
    for cut in [5, packed.len() / 2, packed.len() - 1] {
        let conversion = Conversion {
            compression: "gzip",
            diff_id: diff_id.clone(),
            ..Conversion::of(&packed[..cut])
        };
        assert_eq!(refused(&conversion).0, "LAYER_TRUNCATED");
    }
}

#[test]
fn another_layer_than_the_image_says() {
    let blob = Archive::default().file("f", "x").end();
    let other = format!("sha256:{}", "0".repeat(64));
    let (reason, message) = refused(&Conversion {
        diff_id: Some(other.clone()),
        ..Conversion::of(&blob)
    });
    assert_eq!(reason, "LAYER_DIFF_ID_MISMATCH");
    assert!(message.contains(&sha256(&blob)) && message.contains(&other));
    // What lies behind the end mark is part of the digest.
    let longer = [&blob[..], b"more"].concat();
    let diff_id = Some(format!("sha256:{}", sha256(&blob)));
    assert_eq!(
        refused(&Conversion {
            diff_id,
            ..Conversion::of(&longer)
        })
        .0,
        "LAYER_DIFF_ID_MISMATCH"
    );
}

#[test]
fn blobs_that_are_not_what_they_should() {
    let blob = Archive::default().file("f", "x").end();
    for compression in ["gzip", "zstd"] {
        assert_eq!(
            refused(&Conversion {
                compression,
                ..Conversion::of(&blob)
            })
            .0,
            "LAYER_BAD_COMPRESSION"
        );
    }
    let trailing = [&gzip(&blob)[..], b"trailing garbage, and enough of it"].concat();
    assert_eq!(
        refused(&Conversion {
            compression: "gzip",
            ..Conversion::of(&trailing)
        })
        .0,
        "LAYER_BAD_COMPRESSION"
    );
}
