//! The command line, as the launcher gives it.

use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

pub enum Command {
    Convert(Args),
    Fold(Fold),
}

/// Of so many layers, from the descriptor behind the spool on, one.
#[derive(Debug, PartialEq, Eq)]
pub struct Fold {
    pub layers: u32,
    pub max_bytes: u64,
    pub max_entries: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Args {
    /// SHA-256 that the uncompressed tar must have.
    pub diff_id: [u8; 32],
    pub compression: Compression,
    pub max_bytes: u64,
    pub max_entries: u32,
    pub lower: Option<PathBuf>,
}

pub const USAGE: &str =
    "caisson-converter --diff-id sha256:HEX --compression none|gzip|zstd --max-bytes N --max-entries N [--lower DIR]
       caisson-converter fold --layers N --max-bytes N --max-entries N";

impl Command {
    pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut args = args.peekable();
        if args.next_if(|word| word == "fold").is_some() {
            Fold::parse(args).map(Self::Fold)
        } else {
            Args::parse(args).map(Self::Convert)
        }
    }
}

impl Fold {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let (mut layers, mut max_bytes, mut max_entries) = (None, None, None);
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag:?} needs a value"))?;
            let text = value.to_str().unwrap_or_default();
            let bad = || format!("{flag:?}: bad value {value:?}");
            match flag.to_str() {
                Some("--layers") => layers = Some(text.parse().map_err(|_| bad())?),
                Some("--max-bytes") => max_bytes = Some(text.parse().map_err(|_| bad())?),
                Some("--max-entries") => max_entries = Some(text.parse().map_err(|_| bad())?),
                _ => return Err(format!("unknown flag {flag:?}")),
            }
        }
        Ok(Self {
            layers: layers.filter(|count| *count > 0).ok_or("--layers is missing")?,
            max_bytes: max_bytes.ok_or("--max-bytes is missing")?,
            max_entries: max_entries.ok_or("--max-entries is missing")?,
        })
    }
}

impl Args {
    fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let (mut diff_id, mut compression, mut max_bytes, mut max_entries, mut lower) = (None, None, None, None, None);
        let mut args = args;
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag:?} needs a value"))?;
            let text = value.to_str().ok_or_else(|| format!("{flag:?}: {value:?} is not UTF-8"))?;
            let bad = || format!("{flag:?}: bad value {text:?}");
            match flag.to_str() {
                Some("--diff-id") => diff_id = Some(digest(text).ok_or_else(bad)?),
                Some("--compression") => compression = Some(compression_named(text).ok_or_else(bad)?),
                Some("--max-bytes") => max_bytes = Some(text.parse().map_err(|_| bad())?),
                Some("--max-entries") => max_entries = Some(text.parse().map_err(|_| bad())?),
                Some("--lower") => lower = Some(PathBuf::from(text)),
                _ => return Err(format!("unknown flag {flag:?}")),
            }
        }
        Ok(Self {
            diff_id: diff_id.ok_or("--diff-id is missing")?,
            compression: compression.ok_or("--compression is missing")?,
            max_bytes: max_bytes.ok_or("--max-bytes is missing")?,
            max_entries: max_entries.ok_or("--max-entries is missing")?,
            lower,
        })
    }
}

fn compression_named(name: &str) -> Option<Compression> {
    match name {
        "none" => Some(Compression::None),
        "gzip" => Some(Compression::Gzip),
        "zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:")?.as_bytes();
    if hex.len() != 64 || !hex.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn takes_the_launchers_line() {
        let line = format!(
            "--diff-id sha256:{} --compression zstd --max-bytes 10 --max-entries 20 --lower /lower",
            "0f".repeat(32)
        );
        let args = parse(&line).unwrap();
        assert_eq!(args.diff_id, [0x0f; 32]);
        assert_eq!(
            (args.compression, args.max_bytes, args.max_entries),
            (Compression::Zstd, 10, 20)
        );
        assert_eq!(args.lower, Some("/lower".into()));
    }

    #[test]
    fn takes_a_fold() {
        let command = Command::parse(
            "fold --layers 3 --max-bytes 10 --max-entries 20"
                .split(' ')
                .map(OsString::from),
        );
        let Ok(Command::Fold(fold)) = command else { panic!("no fold") };
        assert_eq!((fold.layers, fold.max_bytes, fold.max_entries), (3, 10, 20));
        let none = Command::parse("fold --layers 0 --max-bytes 1 --max-entries 1".split(' ').map(OsString::from));
        assert!(none.is_err());
    }

    #[test]
    fn names_what_is_wrong() {
        assert!(parse("--compression gzip").unwrap_err().contains("--diff-id is missing"));
        assert!(parse("--diff-id sha256:12").unwrap_err().contains("bad value"));
        assert!(parse("--diff-id").unwrap_err().contains("needs a value"));
        assert!(parse("--colour red").unwrap_err().contains("unknown flag"));
    }
}
