//! Names in a tar: bytes, relative to the root whatever they look like.

use crate::refuse::{Stop, shown};

pub const MAX_PATH_BYTES: usize = 4096;
pub const MAX_COMPONENT_BYTES: usize = 255;
pub const MAX_DEPTH: usize = 1024;

/// The components that count: no empty ones, no `.`; a leading `/` says nothing. `..` is refused: no tool that makes layers writes one.
pub fn components(path: &[u8]) -> Result<Vec<&[u8]>, Stop> {
    if path.len() > MAX_PATH_BYTES {
        return Err(Stop::bad_entry(
            path,
            format!("a path of {} bytes, at most {MAX_PATH_BYTES}", path.len()),
        ));
    }
    if path.contains(&0) {
        return Err(Stop::bad_entry(path, "a path with a NUL byte"));
    }
    let parts: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .collect();
    if parts.len() > MAX_DEPTH {
        return Err(Stop::bad_entry(
            path,
            format!("a path of {} components, at most {MAX_DEPTH}", parts.len()),
        ));
    }
    match parts.iter().find(|part| **part == b".." || part.len() > MAX_COMPONENT_BYTES) {
        None => Ok(parts),
        Some(&b"..") => Err(Stop::bad_entry(path, "a path with ..")),
        Some(long) => Err(Stop::bad_entry(
            path,
            format!("{} in it has more than {MAX_COMPONENT_BYTES} bytes", shown(long)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_path_are_equal() {
        for spelling in ["a/b", "/a/b", "./a/b", "a//b/", "/./a/./b/.", "///a/b//"] {
            assert_eq!(components(spelling.as_bytes()).unwrap(), [b"a", b"b"], "{spelling}");
        }
        for root in ["", ".", "/", "./", "//."] {
            assert!(components(root.as_bytes()).unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_refused() {
        for path in ["..", "a/..", "../a", "a/../b", "/.."] {
            assert!(matches!(components(path.as_bytes()), Err(Stop::Refused(_, message)) if message.contains("..")));
        }
        assert!(components(&[b'x'; 255]).is_ok());
        assert!(components(&[b'x'; 256]).is_err());
        assert!(components(&b"a/".repeat(1024)).is_ok());
        assert!(components(&b"a/".repeat(1025)).is_err());
        assert!(components(&[b'/'; 4097]).is_err());
        assert!(components(b"a\0b").is_err());
        assert!(components(b"..a/b..").is_ok());
    }

    proptest! {
        #[test]
        fn components_are_plain(path in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..64)) {
            for part in components(&path).unwrap_or_default() {
                prop_assert!(!part.is_empty() && part != b"." && part != b".." && !part.contains(&b'/') && !part.contains(&0));
            }
        }
    }
}
