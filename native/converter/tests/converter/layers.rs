//! Real trees through real tar, with every way it knows to write them.

use crate::support::{Conversion, Folder, converted, same_tree, set_xattr, sha256, shell, shell_in};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sizes around the edges of blocks and fragments, compressible and not, holes, links, devices, odd names, attributes, a large directory.
const MAKE: &str = r#"
set -e; cd "$0"; umask 022
mkdir -p a/b/c/d "sp ace" many deep empty; chmod 1777 empty; chmod 2755 a; chmod 700 a/b
for size in 0 1 4095 4096 131071 131072 131073 262144 1000000; do
  head -c $size /dev/zero > a/zero-$size; head -c $size /dev/urandom > a/b/noise-$size; seq 1 200000 | head -c $size > a/b/c/text-$size
done
truncate -s 3M holes; printf start | dd of=holes conv=notrunc status=none; printf middle | dd of=holes bs=1 seek=1500000 conv=notrunc status=none
truncate -s 100000 small-hole; truncate -s 40M only-hole
for n in $(seq 1 3000); do echo $n > many/file-with-a-name-$n; done
ln -s ../nowhere a/broken; ln -s /etc/passwd a/absolute; ln -s "$(printf 'x%.0s' $(seq 1 1000))" a/long-target
ln a/b/c/text-4096 hardlink; ln a/b/c/text-4096 "sp ace/another"; ln a/broken a/linked-symlink 2>/dev/null || true
mkfifo pipe; mknod null c 1 3; mknod disk b 8 17; touch setuid; chmod 4711 setuid
printf x > "$(printf 'caf\351')"; printf x > "new
line"; printf x > 'quote"and'"'"'back\slash'; touch -- -dash; touch "$(printf 'n%.0s' $(seq 1 255))"
d=deep; for n in $(seq 1 60); do d=$d/level-$n; done; mkdir -p $d; echo bottom > $d/file
chown 1000:1001 a/b/c; chown 3000000000:4000000000 pipe; chown -h 12:13 a/broken
find . -exec touch -h -d @1234567890 {} +; touch -d @4294967295 a/zero-1; touch -d @0 a/zero-0
"#;

const ATTRIBUTES: [(&str, &str, &[u8]); 5] = [
    ("a", "user.big", &[b'x'; 900]),
    ("a/b", "user.note", b"value"),
    ("a/zero-4096", "user.note", b"value"),
    ("a/zero-1", "user.binary", b"\0\xff\n="),
    (
        "setuid",
        "security.capability",
        b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ),
];

fn tree(folder: &Folder) -> PathBuf {
    let path = folder.at("tree");
    fs::create_dir(&path).unwrap();
    shell(&["sh", "-c", MAKE, path.to_str().unwrap()]);
    for (file, name, value) in ATTRIBUTES {
        set_xattr(&path.join(file), name, value);
    }
    path
}

fn tar(tree: &Path, options: &[&str]) -> Vec<u8> {
    let output = Command::new("tar")
        .args(options)
        .args(["--numeric-owner", "-cf", "-", "."])
        .current_dir(tree)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn every_format_of_tar_gives_the_same_tree() {
    let folder = Folder::new();
    let tree = tree(&folder);
    let posix = ["--format=posix", "--xattrs", "--xattrs-include=*"];
    for sparse in [
        &[][..],
        &["--sparse", "--sparse-version=0.0"],
        &["--sparse", "--sparse-version=0.1"],
        &["--sparse", "--sparse-version=1.0"],
    ] {
        let blob = tar(&tree, &[&posix[..], sparse].concat());
        same_tree(&[&converted(&Conversion::of(&blob), &folder)], &tree);
    }
    // These have no place for attributes.
    for (file, name, _) in ATTRIBUTES {
        rustix::fs::lremovexattr(tree.join(file), name).unwrap();
    }
    for options in [
        &["--format=gnu"][..],
        &["--format=gnu", "--sparse"],
        &["--format=oldgnu", "--sparse"],
    ] {
        same_tree(&[&converted(&Conversion::of(&tar(&tree, options)), &folder)], &tree);
    }
    shell_in(
        &tree,
        "rm -r deep a/long-target nnnn*; chown 0:0 pipe; touch -d @1234567890 a .",
    );
    let ustar = tar(&tree, &["--format=ustar"]);
    same_tree(&[&converted(&Conversion::of(&ustar), &folder)], &tree);
}

#[test]
fn compressions_give_the_same_image_byte_for_byte() {
    let folder = Folder::new();
    let blob = tar(&tree(&folder), &["--format=posix", "--xattrs", "--xattrs-include=*"]);
    let plain = fs::read(converted(&Conversion::of(&blob), &folder)).unwrap();
    let gzips = [1, 6].map(|level| ("gzip", gzip(&blob, level)));
    let zstds = [1, 19].map(|level| ("zstd", zstd::bulk::compress(&blob, level).unwrap()));
    for (compression, packed) in gzips.into_iter().chain(zstds) {
        let diff_id = Some(format!("sha256:{}", sha256(&blob)));
        let conversion = Conversion {
            compression,
            diff_id,
            ..Conversion::of(&packed)
        };
        assert!(fs::read(converted(&conversion, &folder)).unwrap() == plain, "{compression}");
    }
}

fn gzip(data: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Another reader than the kernel finds the image in order.
#[test]
fn unsquashfs_agrees() {
    let folder = Folder::new();
    let blob = tar(&tree(&folder), &["--format=posix", "--xattrs", "--xattrs-include=*"]);
    let image = converted(&Conversion::of(&blob), &folder);
    let out = folder.at("out");
    shell(&["unsquashfs", "-q", "-n", "-d", out.to_str().unwrap(), image.to_str().unwrap()]);
    same_tree(&[&image], &out);
}
