//! Layers that mean something only on top of others.

use crate::archive::{Archive, Member};
use crate::support::{Conversion, Folder, converted, inside, mounted, refused, set_xattr, shell, xattr};
use std::path::{Path, PathBuf};

/// A tree as the lower layers may have it.
fn below(folder: &Folder) -> PathBuf {
    let script = "mkdir -p $0/usr/lib $0/tmp $0/shut $0/full && chmod 1777 $0/tmp && chown 5:6 $0/usr/lib \
        && touch -d @77 $0/usr/lib && ln -s usr/lib $0/lib && ln -s /tmp $0/abs && echo text > $0/usr/file && chown 9:9 $0/usr/file \
        && chmod 4711 $0/usr/file && touch -d @88 $0/usr/file && ln -s target $0/usr/link && mkfifo $0/usr/pipe \
        && echo x > $0/full/inside && chmod 700 $0/shut";
    let path = folder.at("below");
    shell(&["sh", "-c", script, path.to_str().unwrap()]);
    set_xattr(&path.join("usr/lib"), "user.x", b"y");
    set_xattr(&path.join("usr/file"), "user.f", b"g");
    path
}

fn xattr_over(lower: &Path, archive: Archive, path: &str, name: &str) -> Vec<u8> {
    let folder = Folder::new();
    let blob = archive.end();
    let image = converted(&Conversion::of(&blob).over(lower), &folder);
    mounted(&[&image], |root| xattr(&root.join(path), name)).unwrap()
}

fn over(lower: &Path, archive: Archive, script: &str) -> String {
    let folder = Folder::new();
    let blob = archive.end();
    inside(&[&converted(&Conversion::of(&blob).over(lower), &folder)], script)
}

#[test]
fn missing_directories_are_as_below() {
    let folder = Folder::new();
    let lower = below(&folder);
    let stat = "stat -c '%n %a %u:%g' tmp usr usr/lib; stat -c %Y usr/lib";
    let archive = Archive::default().file("tmp/f", "x").file("usr/lib/g", "y");
    let expected = "tmp 1777 0:0\nusr 755 0:0\nusr/lib 755 5:6\n77\n";
    assert_eq!(over(&lower, archive.clone(), stat), expected);
    assert_eq!(xattr_over(&lower, archive, "usr/lib", "user.x"), b"y");
    let archive = Archive::default().file("nowhere/at/all", "x");
    assert_eq!(
        over(&lower, archive, "stat -c '%n %a %u:%g' nowhere nowhere/at"),
        "nowhere 755 0:0\nnowhere/at 755 0:0\n"
    );
}

#[test]
fn the_bottom_layer_lies_over_nothing() {
    let folder = Folder::new();
    assert_eq!(
        over(
            &folder.0,
            Archive::default().file("a/b/f", "x"),
            "stat -c '%n %a' a a/b; cat a/b/f"
        ),
        "a 755\na/b 755\nx"
    );
}

#[test]
fn symlinks_below_are_followed() {
    let folder = Folder::new();
    let lower = below(&folder);
    let archive = Archive::default().file("lib/new", "x").file("abs/other", "y");
    assert_eq!(
        over(&lower, archive, "find . -type f | sort; test ! -e lib && stat -c %a tmp"),
        "./tmp/other\n./usr/lib/new\n1777\n"
    );
    let hidden_first = Archive::default().file(".wh.lib", "").file("lib/new", "x");
    assert_eq!(
        over(&lower, hidden_first, "find . -type f; stat -c %F lib"),
        "./lib/new\ndirectory\n"
    );
}

#[test]
fn links_downwards_bring_their_target_up() {
    let folder = Folder::new();
    let lower = below(&folder);
    let archive = Archive::default()
        .hardlink("one", "usr/file")
        .hardlink("two", "/usr/file")
        .hardlink("three", "usr/link")
        .hardlink("pipe", "usr/pipe");
    let script = "stat -c '%a %u:%g %h %Y' one usr/file; test one -ef two && test one -ef usr/file && cat one; \
        readlink three; stat -c %F pipe; stat -c '%n %a' usr";
    let expected = "4711 9:9 3 88\n4711 9:9 3 88\ntext\ntarget\nfifo\nusr 755\n";
    assert_eq!(over(&lower, archive.clone(), script), expected);
    assert_eq!(xattr_over(&lower, archive, "one", "user.f"), b"g");
    let by_symlink = Archive::default()
        .hardlink("g", "full/inside")
        .hardlink("h", "abs/../full/inside".replace("abs/../", "").as_str());
    assert_eq!(over(&lower, by_symlink, "cat g h"), "x\nx\n");
}

#[test]
fn links_to_nothing_or_to_directories_are_refused() {
    let folder = Folder::new();
    let lower = below(&folder);
    for (archive, fault) in [
        (Archive::default().hardlink("f", "usr/none"), "does not exist"),
        (Archive::default().hardlink("f", "usr"), "directory"),
        (
            Archive::default().file(".wh.usr", "").hardlink("f", "usr/file"),
            "does not exist",
        ),
        (
            Archive::default()
                .dir("usr")
                .file("usr/.wh..wh..opq", "")
                .hardlink("f", "usr/file"),
            "does not exist",
        ),
        (
            Archive::default().file("usr/.wh.file", "").hardlink("f", "usr/file"),
            "does not exist",
        ),
        (Archive::default().file("usr/file/below-a-file", "x"), "is no directory"),
    ] {
        let (reason, message) = refused(&Conversion::of(&archive.end()).over(&lower));
        assert_eq!(reason, "LAYER_BAD_ENTRY", "{message}");
        assert!(message.contains(fault), "{message}");
    }
}

#[test]
fn nothing_leads_out_of_the_lower_tree() {
    let folder = Folder::new();
    let lower = folder.at("below");
    std::fs::create_dir(&lower).unwrap();
    std::fs::write(folder.at("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("..", lower.join("up")).unwrap();
    std::os::unix::fs::symlink(&folder.0, lower.join("out")).unwrap();
    for target in ["up/secret", "out/secret", "up/up/up/etc/passwd"] {
        let (reason, _) = refused(&Conversion::of(&Archive::default().hardlink("f", target).end()).over(&lower));
        assert_eq!(reason, "LAYER_BAD_ENTRY");
    }
}

#[test]
fn an_opaque_root_hides_each_name_below() {
    let folder = Folder::new();
    let lower = below(&folder);
    let archive = Archive::default()
        .file("new", "x")
        .dir("full")
        .file(".wh..wh..opq", "")
        .member(Member::new(b'0', b"tmp").data(b"now a file"));
    let script = "find . -mindepth 1 -printf '%y %P\\n' | sort -k2";
    assert_eq!(
        over(&lower, archive.clone(), script),
        "c abs\nd full\nc lib\nf new\nc shut\nf tmp\nc usr\n"
    );
    assert_eq!(xattr_over(&lower, archive, "full", "trusted.overlay.opaque"), b"y");
}
