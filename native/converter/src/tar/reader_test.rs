use super::archive::{Archive, Member};
use super::{Piece, Reader};
use crate::refuse::Stop;
use proptest::prelude::*;

/// Reads all of it: names, and sizes of the data as it came.
fn read(bytes: &[u8]) -> Result<Vec<(Vec<u8>, u64)>, Stop> {
    let mut reader = Reader::new(bytes);
    let mut seen = Vec::new();
    while let Some(entry) = reader.next()? {
        let mut size = 0;
        while let Some(piece) = reader.data()? {
            size += match piece {
                Piece::Data(bytes) => bytes.len() as u64,
                Piece::Hole(length) => length,
            };
        }
        seen.push((entry.path, size));
    }
    Ok(seen)
}

/// One of everything that a parser can stumble over.
fn sample() -> Archive {
    Archive::default()
        .dir("d")
        .file("d/f", "data")
        .pax(&[
            (b"path", b"long name"),
            (b"size", b"3"),
            (b"SCHILY.xattr.user.x", b"y"),
            (b"mtime", b"1.5"),
        ])
        .file("short", "abc")
        .member(Member::new(b'L', b"L").gnu().data(b"gnu name\0"))
        .member(Member::new(b'0', b"cut").gnu().data(&[b'x'; 1000]))
        .pax(&[(b"GNU.sparse.size", b"5000"), (b"GNU.sparse.map", b"0,3,4000,2")])
        .file("sparse", "abcde")
        .pax(&[
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.realsize", b"700"),
        ])
        .member(Member::new(b'0', b"sparse-1.0").data(&[&b"1\n100\n5\n"[..], &[0; 504], b"hello"].concat()))
        .member(
            Member::new(b'S', b"old-sparse")
                .gnu()
                .data(b"xyz")
                .octal(386..398, 512)
                .octal(398..410, 3)
                .octal(483..495, 600),
        )
        .symlink("s", "target")
        .hardlink("h", "d/f")
        .member(Member::new(b'3', b"c").device(1, 3).owner(1, 2).time(3))
}

#[test]
fn reads_each_kind() {
    let seen = read(&sample().end()).unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|(path, size)| (std::str::from_utf8(path).unwrap(), *size))
        .collect();
    let files = [
        ("d/f", 4),
        ("long name", 3),
        ("gnu name", 1000),
        ("sparse", 5000),
        ("sparse-1.0", 700),
        ("old-sparse", 600),
    ];
    assert_eq!(seen, [&[("d", 0)][..], &files, &[("s", 0), ("h", 0), ("c", 0)]].concat());
}

#[test]
fn a_sparse_file_is_data_and_holes_in_their_places() {
    let archive = Archive::default()
        .pax(&[(b"GNU.sparse.size", b"20"), (b"GNU.sparse.map", b"2,3,5,0,10,2")])
        .file("f", "abcde");
    let bytes = archive.end();
    let mut reader = Reader::new(&bytes[..]);
    reader.next().unwrap();
    let mut content = Vec::new();
    while let Some(piece) = reader.data().unwrap() {
        match piece {
            Piece::Data(bytes) => content.extend_from_slice(bytes),
            Piece::Hole(length) => content.extend(std::iter::repeat_n(b'.', length as usize)),
        }
    }
    assert_eq!(content, b"..abc.....de........");
}

#[test]
fn unread_data_is_skipped() {
    let bytes = sample().end();
    let mut reader = Reader::new(&bytes[..]);
    let mut count = 0;
    while reader.next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 10);
}

/// Sets the checksum right again, so that the change gets past it.
fn sum(bytes: &mut [u8], block: usize) {
    let header = &mut bytes[block * 512..][..512];
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever is changed: an answer, without a panic, and without more entries than the bytes have room for.
    #[test]
    fn any_change_is_read_or_refused(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let mut bytes = sample().end();
        let blocks = bytes.len() / 512;
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
            if at / 512 < blocks - 2 {
                sum(&mut bytes, at / 512);
            }
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(seen) = read(bytes) {
                prop_assert!(seen.len() <= blocks);
            }
        }
    }

    #[test]
    fn noise_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = read(&bytes);
    }
}
