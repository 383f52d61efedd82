//! Layers that are too much: each limit has its reason, and its number in the message.

use crate::archive::{Archive, Member};
use crate::hostile::{bad_entry, gzip, refuse};
use crate::support::{Answer, Conversion, Folder, inside, refused};

#[test]
fn names_past_the_limits() {
    bad_entry(
        Archive::default().pax(&[(b"path", &[b'a'; 256])]).file("x", ""),
        "more than 255 bytes",
    );
    bad_entry(
        Archive::default().pax(&[(b"path", &b"a/".repeat(2049))]).file("x", ""),
        "4098 bytes, at most 4096",
    );
    bad_entry(
        Archive::default().pax(&[(b"path", &b"a/".repeat(1025))]).file("x", ""),
        "1025 components, at most 1024",
    );
    bad_entry(
        Archive::default().pax(&[(b"linkpath", &[b'a'; 4096])]).symlink("x", "y"),
        "4096 bytes",
    );
    bad_entry(Archive::default().member(Member::new(b'2', b"empty")), "0 bytes");
}

#[test]
fn bombs_stop_at_the_limit() {
    let bomb = gzip(&vec![0; 300 << 20]);
    let conversion = Conversion {
        compression: "gzip",
        max_bytes: 1 << 20,
        ..Conversion::of(&bomb)
    };
    let (reason, message) = refused(&conversion);
    assert_eq!(reason, "LAYER_TOO_LARGE");
    assert!(message.contains("1048576 bytes"));
    let hole = Archive::default()
        .pax(&[(b"GNU.sparse.size", b"9000000000000000"), (b"GNU.sparse.map", b"0,1")])
        .file("f", "x");
    refuse(&hole.end(), "LAYER_TOO_LARGE", "holes included");
}

#[test]
fn too_many_of_anything() {
    let files = |count: u32| (0..count).fold(Archive::default(), |archive, n| archive.file(&format!("f{n}"), ""));
    let few = |blob: &[u8]| {
        refused(&Conversion {
            max_entries: 10,
            ..Conversion::of(blob)
        })
    };
    assert_eq!(
        few(&files(11).end()),
        ("LAYER_TOO_MANY_ENTRIES".into(), "layer has more than 10 entries".into())
    );
    let deep = Archive::default().file("a/b/c/d/e/f/g/h/i/j/k/l", "").end();
    assert_eq!(
        few(&deep).0,
        "LAYER_TOO_MANY_ENTRIES",
        "directories that no entry names count as well"
    );
    let again = (0..11).fold(Archive::default(), |archive, _| archive.file("f", ""));
    assert_eq!(few(&again.end()).0, "LAYER_TOO_MANY_ENTRIES");
    let owners = (0..40_000).fold(Archive::default(), |archive, n| {
        archive.member(Member::new(b'0', b"f").owner(n, 100_000 + n))
    });
    refuse(&owners.end(), "LAYER_TOO_LARGE", "65535 different uids and gids");
    let text = (0..20_000).fold(Archive::default(), |archive, n| {
        archive.pax(&[(b"linkpath", &[b'x'; 4000])]).symlink(&format!("s{n}"), "x")
    });
    refuse(&text.end(), "LAYER_TOO_LARGE", "more than 64 MiB");
}

#[test]
fn resolution_has_a_budget() {
    let deep = "d/".repeat(1000);
    let deep = deep.trim_end_matches('/');
    let mut archive = Archive::default();
    for n in 1..=1000 {
        archive = archive.pax(&[(b"path", &deep.as_bytes()[..n * 2 - 1])]).dir("x");
    }
    for n in 0..38 {
        let target = if n == 0 {
            deep.into()
        } else {
            format!("{}s{}", "./".repeat(900), n - 1)
        };
        archive = archive
            .pax(&[(b"linkpath", target.as_bytes())])
            .symlink(&format!("s{n}"), "x");
    }
    for n in 0..5_000 {
        archive = archive.file(&format!("s37/{n}"), "");
    }
    let blob = archive.end();
    let (reason, message) = refused(&Conversion {
        max_entries: 10_000,
        ..Conversion::of(&blob)
    });
    assert_eq!(reason, "LAYER_TOO_LARGE", "{message}");
    assert!(message.contains("100 steps"), "{message}");
}

#[test]
fn a_full_store_is_our_failure() {
    let noise: Vec<u8> = (0..1u32 << 18)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).wrapping_pow(3).to_le_bytes())
        .collect();
    let blob = Archive::default().member(Member::new(b'0', b"f").data(&noise)).end();
    let (reason, message) = refused(&Conversion {
        room: Some(256 << 10),
        ..Conversion::of(&blob)
    });
    assert_eq!(reason, "LAYER_STORE_FULL");
    assert!(message.starts_with("output: "), "{message}");
}

#[test]
fn a_large_directory_takes_no_longer_than_many_small_ones() {
    let folder = Folder::new();
    let archive = (0..100_000).rev().fold(Archive::default().dir("d"), |archive, n| {
        archive.file(&format!("d/file-{n:06}"), "")
    });
    let blob = archive.end();
    let start = std::time::Instant::now();
    let image = folder.at("image");
    assert!(matches!(Conversion::of(&blob).run(&image), Answer::Converted(converted) if converted.entries == 100_001));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    let script = "ls d | wc -l; for n in 000000 000001 049999 077777 099998 099999; do test -f d/file-$n; done; test ! -e d/file-100000; test ! -e d/a; echo ok";
    assert_eq!(inside(&[&image], script), "100000\nok\n");
}
