//! Extended headers: `LENGTH KEY=VALUE\n` records.

use super::number::{decimal, time};
use super::sparse::PaxSparse;
use crate::attributes::Xattr;
use crate::refuse::{Stop, shown};

/// What the kernel takes (XATTR_NAME_MAX, XATTR_SIZE_MAX).
const MAX_XATTR_NAME_BYTES: usize = 255;
const MAX_XATTR_VALUE_BYTES: usize = 64 << 10;
/// Of one entry. Files have one or two.
const MAX_XATTRS: usize = 512;

#[derive(Debug, Default)]
pub struct Extended {
    pub path: Option<Vec<u8>>,
    pub link_name: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<i64>,
    pub gid: Option<i64>,
    pub mtime: Option<i64>,
    pub xattrs: Vec<Xattr>,
    pub sparse: PaxSparse,
}

impl Extended {
    pub fn parse(bytes: &[u8]) -> Result<Self, Stop> {
        let mut extended = Self::default();
        for record in Records(bytes) {
            let (key, value) = record?;
            extended.take(key, value).ok_or_else(|| bad_value(key, value))?;
        }
        Ok(extended)
    }

    /// `None` when the value is wrong. A later record of one key wins; an empty value leaves what the header says.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return self.take_xattr(name, value);
        }
        if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.take(name, value);
        }
        let given = !value.is_empty();
        match key {
            b"path" => self.path = given.then(|| value.to_vec()),
            b"linkpath" => self.link_name = given.then(|| value.to_vec()),
            b"size" => self.size = if given { Some(decimal(value)? as u64) } else { None },
            b"uid" => self.uid = if given { Some(decimal(value)?) } else { None },
            b"gid" => self.gid = if given { Some(decimal(value)?) } else { None },
            b"mtime" => self.mtime = if given { Some(time(value)?) } else { None },
            _ => {}
        }
        Some(())
    }

    fn take_xattr(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        if name.is_empty() || name.len() > MAX_XATTR_NAME_BYTES || name.contains(&0) || value.len() > MAX_XATTR_VALUE_BYTES {
            return None;
        }
        self.xattrs.retain(|xattr| xattr.name != name);
        self.xattrs.push(Xattr {
            name: name.to_vec(),
            value: value.to_vec(),
        });
        (self.xattrs.len() <= MAX_XATTRS).then_some(())
    }
}

/// Go's tools do not apply a global header, others do: one that would change what the entries are has no one meaning.
pub fn check_global(bytes: &[u8]) -> Result<(), Stop> {
    for record in Records(bytes) {
        let (key, _) = record?;
        let matters = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime")
            || key.starts_with(b"GNU.sparse.")
            || key.starts_with(b"SCHILY.xattr.");
        if matters {
            return Err(Stop::bad_entry(
                b"global extended header",
                format!("it sets {} for all entries", shown(key)),
            ));
        }
    }
    Ok(())
}

fn bad_value(key: &[u8], value: &[u8]) -> Stop {
    let message = format!(
        "{} has a bad value of {} bytes: {}",
        shown(key),
        value.len(),
        shown(&value[..value.len().min(40)])
    );
    Stop::bad_entry(b"extended header", message)
}

struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some((record, rest)) = split_record(self.0) else {
            self.0 = &[];
            return Some(Err(Stop::bad_entry(b"extended header", "malformed record")));
        };
        self.0 = rest;
        Some(Ok(record))
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

/// The length counts all of its record, itself and the newline too.
fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = bytes.iter().take(10).position(|&byte| byte == b' ')?;
    let length = decimal(&bytes[..space])? as usize;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty()).then_some(((key, value), &bytes[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
        let rest = key.len() + value.len() + 3;
        let length = (1..)
            .map(|digits| rest + digits)
            .find(|n| rest + n.to_string().len() == *n)
            .unwrap();
        [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
    }

    #[test]
    fn reads_what_counts() {
        let bytes = [
            record(b"path", b"caf\xe9/\n=x"),
            record(b"size", b"8589934592"),
            record(b"mtime", b"1.5"),
            record(b"uname", b"root"),
            record(b"SCHILY.xattr.user.a=", b"ignored"),
            record(b"SCHILY.xattr.user.b", b"\0\n="),
        ]
        .concat();
        let extended = Extended::parse(&bytes).unwrap();
        assert_eq!(extended.path.unwrap(), b"caf\xe9/\n=x");
        assert_eq!((extended.size, extended.mtime, extended.uid), (Some(1 << 33), Some(1), None));
        assert_eq!(
            extended.xattrs[1],
            Xattr {
                name: b"user.b".to_vec(),
                value: b"\0\n=".to_vec()
            }
        );
    }

    #[test]
    fn last_record_wins_and_empty_takes_back() {
        let bytes = [
            record(b"path", b"a"),
            record(b"path", b"b"),
            record(b"size", b"1"),
            record(b"size", b""),
        ]
        .concat();
        let extended = Extended::parse(&bytes).unwrap();
        assert_eq!((extended.path, extended.size), (Some(b"b".to_vec()), None));
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in [
            "5 a=b",
            "6 a=b",
            "99 a=b\n",
            "x a=b\n",
            "6 abc\n",
            "5 =b\n",
            "0 a=b\n",
            " a=b\n",
            "4 a\n",
            "-6 a=b\n",
            "6 a=b\n\0",
        ] {
            assert!(Extended::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        for bad in [
            record(b"size", b"-1"),
            record(b"uid", b"1.5"),
            record(b"mtime", b"soon"),
            record(b"SCHILY.xattr.", b""),
        ] {
            assert!(Extended::parse(&bad).is_err(), "{bad:?}");
        }
        assert!(Extended::parse(&record(b"SCHILY.xattr.user.big", &vec![0; (64 << 10) + 1])).is_err());
    }

    #[test]
    fn a_global_header_changes_nothing_or_is_refused() {
        assert!(check_global(&record(b"comment", b"0123456789abcdef")).is_ok());
        assert!(check_global(&record(b"size", b"12")).is_err());
        assert!(check_global(&record(b"SCHILY.xattr.user.x", b"1")).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'='), Just(b'\n'), b'0'..=b'9'], 0..200)) {
            let _ = Extended::parse(&bytes);
        }

        #[test]
        fn records_round_trip(key in "[a-z.]{1,12}", value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = record(key.as_bytes(), &value);
            let all: Vec<_> = Records(&bytes).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(all, vec![(key.as_bytes(), &value[..])]);
        }
    }
}
