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

fn check(archive: Archive, expected: &[&str]) {
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
fn names_are_taken_as_bytes_and_relative() {
    let archive = Archive::default()
        .file("/abs", "1")
        .file(".//dot/./../x".trim_end_matches("/./../x"), "2");
    check(archive, &["f 644 1 abs", "f 644 1 dot", "./abs=1", "./dot=2"]);
    let folder = Folder::new();
    let blob = Archive::default().member(Member::new(b'0', b"caf\xe9\n\"'").data(b"x")).end();
    let image = converted(&Conversion::of(&blob), &folder);
    assert_eq!(
        inside(&[&image], "find . -type f -print0 | od -An -c | tr -d ' \\n'"),
        "./caf351\\n\"'\\0"
    );
}

#[test]
fn the_root_is_as_its_entry_says() {
    let folder = Folder::new();
    let without = Archive::default().file("f", "x").end();
    let with = Archive::default()
        .member(Member::new(b'5', b"./").mode(0o700).owner(3, 4).time(99))
        .file("f", "x")
        .end();
    let stat = "stat -c '%a %u %g %Y' .";
    assert_eq!(inside(&[&converted(&Conversion::of(&without), &folder)], stat), "755 0 0 0\n");
    assert_eq!(inside(&[&converted(&Conversion::of(&with), &folder)], stat), "700 3 4 99\n");
}

#[test]
fn old_and_odd_headers_are_read() {
    let long = "long/".repeat(30);
    let v7 = Member::new(0, b"v7dir/").text(257, &[0; 8]).mode(0o755);
    let star = Member::new(b'0', b"in-star")
        .text(345, b"star")
        .text(508, b"tar\0")
        .data(b"s");
    let prefixed = Member::new(b'0', b"in-prefix").text(345, b"v7dir").data(b"p");
    let archive = Archive::default()
        .member(v7)
        .dir("star")
        .member(star)
        .member(prefixed)
        .member(
            Member::new(b'L', b"././@LongLink")
                .gnu()
                .data(format!("{}\0", long.replace('/', "_")).as_bytes()),
        )
        .member(Member::new(b'0', b"cut").gnu().data(b"g"))
        .member(Member::new(b'K', b"././@LongLink").gnu().data(format!("{long}\0").as_bytes()))
        .member(Member::new(b'2', b"s").gnu().mode(0o777).link(b"cut"))
        .member(Member::new(b'7', b"contiguous").data(b"c"));
    let folder = Folder::new();
    let blob = archive.end();
    let listed = inside(
        &[&converted(&Conversion::of(&blob), &folder)],
        "find . -mindepth 1 -printf '%P %l\\n' | sort",
    );
    let long_name = long.replace('/', "_");
    let expected = [
        "contiguous",
        &long_name,
        &format!("s {long}"),
        "star",
        "star/in-star",
        "v7dir",
        "v7dir/in-prefix",
    ];
    assert_eq!(listed.lines().map(str::trim_end).collect::<Vec<_>>(), expected);
}

#[test]
fn an_extended_header_outdoes_the_fields() {
    let folder = Folder::new();
    let data = vec![b'x'; 700];
    let lying = Member::new(b'0', b"short").stored(&data).octal(124..136, 3);
    let blob = Archive::default()
        .pax(&[
            (b"size", b"700"),
            (b"path", b"f"),
            (b"uid", b"3000000000"),
            (b"mtime", b"1234567890.987654321"),
        ])
        .member(lying)
        .file("after", "x")
        .end();
    let script = "stat -c '%n %s %u %Y' f after; cat after";
    assert_eq!(
        inside(&[&converted(&Conversion::of(&blob), &folder)], script),
        "f 700 3000000000 1234567890\nafter 1 0 1000000000\nx"
    );
}

#[test]
fn times_outside_of_the_format_are_the_nearest() {
    let folder = Folder::new();
    let blob = Archive::default()
        .pax(&[(b"mtime", b"-5.5")])
        .file("old", "")
        .pax(&[(b"mtime", b"99999999999")])
        .file("far", "")
        .end();
    assert_eq!(
        inside(&[&converted(&Conversion::of(&blob), &folder)], "stat -c %Y old far"),
        "0\n4294967295\n"
    );
}

#[test]
fn only_attributes_that_a_layer_may_have_stay() {
    let folder = Folder::new();
    let capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let blob = Archive::default()
        .pax(&[
            (b"SCHILY.xattr.user.kept", b"a\0\n=b"),
            (b"SCHILY.xattr.user.empty", b""),
            (b"SCHILY.xattr.security.capability", capability),
            (b"SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            (b"SCHILY.xattr.trusted.overlay.metacopy", b""),
            (b"SCHILY.xattr.security.selinux", b"label"),
        ])
        .file("f", "x")
        .file("plain", "x")
        .end();
    let image = converted(&Conversion::of(&blob), &folder);
    mounted(&[&image], |root| {
        let (file, mut names) = (root.join("f"), vec![0; 1 << 16]);
        let length = rustix::fs::llistxattr(&file, &mut names).unwrap();
        let mut names: Vec<_> = names[..length]
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        assert_eq!(names, [&b"security.capability"[..], b"user.empty", b"user.kept"]);
        assert_eq!(xattr(&file, "user.kept").unwrap(), b"a\0\n=b");
        assert_eq!(xattr(&file, "user.empty").unwrap(), b"");
        assert_eq!(xattr(&file, "security.capability").unwrap(), capability);
        assert_eq!(
            rustix::fs::llistxattr(root.join("plain"), &mut [0u8; 8]).unwrap(),
            0,
            "and no error"
        );
    });
}

#[test]
fn devices_pipes_and_special_bits_are_kept() {
    let archive = Archive::default()
        .member(Member::new(b'3', b"c").device(1, 3))
        .member(Member::new(b'4', b"b").device(259, 1_048_575))
        .member(Member::new(b'6', b"p"))
        .member(Member::new(b'0', b"s").mode(0o6755));
    check(
        archive.clone(),
        &["b 644 1 b", "c 644 1 c", "p 644 1 p", "f 6755 1 s", "./s="],
    );
    let folder = Folder::new();
    let blob = archive.end();
    assert_eq!(
        inside(&[&converted(&Conversion::of(&blob), &folder)], "stat -c %t:%T c b"),
        "1:3\n103:fffff\n"
    );
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
