//! What the headers of one entry become.

use crate::archive::{Archive, Member};
use crate::rules::check;
use crate::support::{Conversion, Folder, converted, inside, mounted, xattr};

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
