//! What becomes of each kind of entry, and of entries that meet.

use crate::archive::{Archive, Member};
use crate::support::{Answer, Conversion, Folder, converted, inside, mounted, xattr};

/// One line a name: type, permissions, links, name, target; and the content of files.
const SHOW: &str = "find . -mindepth 1 -printf '%y %m %n %P %l\\n' | sort -k4 | sed 's/ $//'; \
    find . -type f | sort | while read -r f; do printf '%s=' \"$f\"; cat \"$f\"; echo; done";

fn show(archive: Archive) -> String {
    let folder = Folder::new();
    let blob = archive.end();
    inside(&[&converted(&Conversion::of(&blob), &folder)], SHOW)
}

pub fn check(archive: Archive, expected: &[&str]) {
    assert_eq!(show(archive).lines().collect::<Vec<_>>(), expected);
}

fn is_opaque(archive: Archive, path: &str) -> bool {
    let folder = Folder::new();
    let blob = archive.end();
    let image = converted(&Conversion::of(&blob), &folder);
    mounted(&[&image], |root| xattr(&root.join(path), "trusted.overlay.opaque")) == Some(b"y".to_vec())
}

#[test]
fn whiteouts_become_devices() {
    let archive = Archive::default().dir("d").file("d/.wh.gone", "").file(".wh.top", "");
    check(archive, &["d 755 2 d", "c 0 1 d/gone", "c 0 1 top"]);
    let folder = Folder::new();
    let blob = Archive::default().file(".wh.top", "").end();
    assert_eq!(
        inside(&[&converted(&Conversion::of(&blob), &folder)], "stat -c %t:%T top"),
        "0:0\n"
    );
}

#[test]
fn a_whiteout_never_hides_what_its_own_layer_has() {
    let expected = ["f 644 1 f", "./f=new"];
    check(Archive::default().file("f", "new").file(".wh.f", ""), &expected);
    check(Archive::default().file(".wh.f", "").file("f", "new"), &expected);
    let after = Archive::default().dir("d").file("d/f", "new").file(".wh.d", "");
    let before = Archive::default().file(".wh.d", "").dir("d").file("d/f", "new");
    for archive in [after, before] {
        check(archive.clone(), &["d 755 2 d", "f 644 1 d/f", "./d/f=new"]);
        assert!(is_opaque(archive, "d"));
    }
}

#[test]
fn opaque_marks_are_attributes_wherever_they_stand() {
    let after = Archive::default().dir("d").file("d/f", "x").file("d/.wh..wh..opq", "");
    let before = Archive::default().dir("d").file("d/.wh..wh..opq", "").file("d/f", "x");
    let again = Archive::default()
        .dir("d")
        .file("d/.wh..wh..opq", "")
        .file("d/f", "x")
        .dir("d");
    for archive in [after, before, again] {
        assert!(is_opaque(archive.clone(), "d"));
        check(archive, &["d 755 2 d", "f 644 1 d/f", "./d/f=x"]);
    }
    assert!(!is_opaque(Archive::default().dir("d"), "d"));
}

#[test]
fn books_of_aufs_are_left_out() {
    let archive = Archive::default()
        .dir(".wh..wh.plnk")
        .file(".wh..wh.plnk/1.2", "x")
        .file(".wh..wh.aufs", "")
        .file("f", "x");
    check(archive, &["f 644 1 f", "./f=x"]);
}

#[test]
fn the_last_entry_of_a_name_wins() {
    check(
        Archive::default().file("f", "old").file("./f", "new"),
        &["f 644 1 f", "./f=new"],
    );
    check(
        Archive::default().symlink("f", "x").file("f", "new"),
        &["f 644 1 f", "./f=new"],
    );
    check(Archive::default().file("f", "old").symlink("f", "x"), &["l 777 1 f x"]);
    let dir_to_file = Archive::default().dir("d").dir("d/e").file("d/e/f", "x").file("d", "file");
    check(dir_to_file, &["f 644 1 d", "./d=file"]);
    let and_back = Archive::default()
        .dir("d")
        .file("d/f", "x")
        .file("d", "file")
        .dir("d")
        .file("d/g", "y");
    check(and_back.clone(), &["d 755 2 d", "f 644 1 d/g", "./d/g=y"]);
    assert!(is_opaque(and_back, "d"), "the file had hidden what lies below");
}

#[test]
fn a_directory_met_again_keeps_its_children() {
    let again = Member::new(b'5', b"d/").mode(0o1777).owner(7, 8);
    let archive = Archive::default().dir("d").file("d/f", "x").member(again);
    check(archive, &["d 1777 2 d", "f 644 1 d/f", "./d/f=x"]);
    let described_late = Archive::default().file("d/f", "x").dir("d");
    check(described_late, &["d 755 2 d", "f 644 1 d/f", "./d/f=x"]);
}

#[test]
fn hard_links_stay_with_the_file_they_met() {
    let archive = Archive::default()
        .file("a", "old")
        .hardlink("b", "./a")
        .hardlink("c", "/b")
        .file("a", "new");
    check(
        archive,
        &["f 644 1 a", "f 644 2 b", "f 644 2 c", "./a=new", "./b=old", "./c=old"],
    );
    let to_symlink = Archive::default().symlink("s", "nowhere").hardlink("t", "s");
    check(to_symlink, &["l 777 2 s nowhere", "l 777 2 t nowhere"]);
}

#[test]
fn symlinks_on_the_way_are_followed_inside_the_root() {
    for target in ["real", "/real", "../../real", "./x/../real"] {
        let archive = Archive::default()
            .dir("real")
            .dir("x")
            .symlink("way", target)
            .file("way/f", "x");
        let way = format!("l 777 1 way {target}");
        check(archive, &["d 755 2 real", "f 644 1 real/f", &way, "d 755 2 x", "./real/f=x"]);
    }
    let through = Archive::default()
        .dir("real")
        .file("real/f", "x")
        .symlink("way", "real")
        .hardlink("g", "way/f")
        .file("way/.wh.gone", "");
    check(
        through,
        &[
            "f 644 2 g",
            "d 755 2 real",
            "f 644 2 real/f",
            "c 0 1 real/gone",
            "l 777 1 way real",
            "./g=x",
            "./real/f=x",
        ],
    );
    let replaced = Archive::default()
        .dir("real")
        .symlink("way", "real")
        .dir("way")
        .file("way/f", "x");
    check(replaced, &["d 755 2 real", "d 755 2 way", "f 644 1 way/f", "./way/f=x"]);
}

#[test]
fn an_empty_layer_is_an_empty_root() {
    check(Archive::default(), &[]);
    let folder = Folder::new();
    assert_eq!(inside(&[&converted(&Conversion::of(b""), &folder)], SHOW), "");
}

#[test]
fn what_only_lowers_can_tell_is_asked_for() {
    let folder = Folder::new();
    for archive in [
        Archive::default().file("missing/f", "x"),
        Archive::default().file("missing/.wh.f", ""),
        Archive::default().hardlink("f", "below"),
        Archive::default().symlink("way", "below").file("way/f", "x"),
        Archive::default().file(".wh..wh..opq", ""),
    ] {
        assert!(matches!(
            Conversion::of(&archive.end()).run(&folder.at("image")),
            Answer::NeedsLowers(_)
        ));
    }
}
