//! Files with holes: the old GNU form, and the three of PAX (0.0, 0.1, 1.0).

use super::header::{BLOCK_BYTES, Header};
use super::number::{decimal, field};

/// Bounds the map of one file to a megabyte.
const MAX_SEGMENTS: usize = 1 << 16;

/// A stretch of data in a file; the rest are holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub length: u64,
}

/// Segments in order, without overlap, inside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseMap {
    pub segments: Vec<Segment>,
    pub size: u64,
}

impl SparseMap {
    /// `stored` is how much data the archive has. `None` when the map contradicts it or itself.
    pub fn checked(self, stored: u64) -> Option<Self> {
        let mut end = 0u64;
        let mut sum = 0u64;
        for segment in &self.segments {
            if segment.offset < end {
                return None;
            }
            end = segment.offset.checked_add(segment.length)?;
            sum = sum.checked_add(segment.length)?;
        }
        (end <= self.size && sum == stored).then_some(self)
    }

    fn push(&mut self, offset: i64, length: i64) -> Option<()> {
        let segment = Segment {
            offset: u64::try_from(offset).ok()?,
            length: u64::try_from(length).ok()?,
        };
        self.segments.push(segment);
        (self.segments.len() <= MAX_SEGMENTS).then_some(())
    }
}

/// The map of a `S` header: four segments, and a flag that says whether extension blocks follow.
pub fn old_gnu(header: &Header) -> Option<(SparseMap, bool)> {
    let mut map = SparseMap {
        segments: Vec::new(),
        size: u64::try_from(field(&header.0[483..495])?).ok()?,
    };
    old_gnu_segments(&mut map, &header.0[386..482])?;
    Some((map, header.0[482] != 0))
}

/// An extension block of it: 21 segments more, and the flag.
pub fn old_gnu_extension(map: &mut SparseMap, block: &[u8; BLOCK_BYTES]) -> Option<bool> {
    old_gnu_segments(map, &block[..504])?;
    Some(block[504] != 0)
}

/// An empty field ends the map.
fn old_gnu_segments(map: &mut SparseMap, bytes: &[u8]) -> Option<()> {
    for pair in bytes.chunks_exact(24) {
        if pair[0] == 0 {
            break;
        }
        map.push(field(&pair[..12])?, field(&pair[12..])?)?;
    }
    Some(())
}

/// What PAX records say of it.
#[derive(Debug, Default)]
pub struct PaxSparse {
    version: (Option<i64>, Option<i64>),
    pub name: Option<Vec<u8>>,
    size: Option<i64>,
    map: SparseMap,
    offset: Option<i64>,
    has_map: bool,
}

pub enum Form {
    Dense,
    /// 0.0 and 0.1: the map was in the records.
    Mapped(SparseMap),
    /// 1.0: the map is at the start of the data.
    MapInData(u64),
}

impl PaxSparse {
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"major" => self.version.0 = Some(decimal(value)?),
            b"minor" => self.version.1 = Some(decimal(value)?),
            b"name" => self.name = Some(value.to_vec()).filter(|name| !name.is_empty()),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"offset" => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                self.map.push(self.offset.take()?, decimal(value)?)?;
                self.has_map = true;
            }
            b"map" => {
                self.map.segments.clear();
                let mut numbers = value.split(|&byte| byte == b',');
                while let Some(offset) = numbers.next().filter(|number| !number.is_empty()) {
                    self.map.push(decimal(offset)?, decimal(numbers.next()?)?)?;
                }
                self.has_map = true;
            }
            _ => {}
        }
        Some(())
    }

    /// `None`: a version or a combination that nobody writes.
    pub fn form(self) -> Option<Form> {
        match (self.version, self.size) {
            ((None, None), None) if !self.has_map => Some(Form::Dense),
            ((None, None) | (Some(0), Some(0 | 1)), Some(size)) => Some(Form::Mapped(SparseMap {
                segments: self.map.segments,
                size: size as u64,
            })),
            ((Some(1), Some(0)), Some(size)) if !self.has_map => Some(Form::MapInData(size as u64)),
            _ => None,
        }
    }
}

/// The map of form 1.0: decimal lines, first the count, in blocks of 512 bytes that come one by one.
#[derive(Default)]
pub struct MapInData {
    line: Vec<u8>,
    numbers: Vec<i64>,
    wanted: Option<usize>,
}

impl MapInData {
    /// True when the map is whole: data begins with the next block.
    pub fn push(&mut self, block: &[u8; BLOCK_BYTES]) -> Option<bool> {
        for &byte in block {
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() > 20 {
                    return None;
                }
                continue;
            }
            let number = decimal(&self.line)?;
            self.line.clear();
            match self.wanted {
                None if number as usize > MAX_SEGMENTS => return None,
                None => self.wanted = Some(number as usize * 2),
                Some(_) => self.numbers.push(number),
            }
            if self.wanted == Some(self.numbers.len()) {
                return Some(true);
            }
        }
        Some(false)
    }

    pub fn map(&self, size: u64) -> Option<SparseMap> {
        let mut map = SparseMap {
            segments: Vec::new(),
            size,
        };
        for pair in self.numbers.chunks_exact(2) {
            map.push(pair[0], pair[1])?;
        }
        Some(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(segments: &[(u64, u64)], size: u64) -> SparseMap {
        SparseMap {
            segments: segments.iter().map(|&(offset, length)| Segment { offset, length }).collect(),
            size,
        }
    }

    #[test]
    fn a_map_must_fit_its_file_and_its_data() {
        assert!(map(&[(0, 10), (20, 5), (30, 0)], 30).checked(15).is_some());
        assert!(map(&[], 1 << 40).checked(0).is_some());
        assert!(map(&[(0, 10), (5, 10)], 30).checked(20).is_none(), "overlap");
        assert!(map(&[(20, 5), (0, 10)], 30).checked(15).is_none(), "order");
        assert!(map(&[(0, 10)], 9).checked(10).is_none(), "past the end");
        assert!(map(&[(0, 10)], 10).checked(9).is_none(), "other size");
        assert!(map(&[(u64::MAX, 2)], u64::MAX).checked(2).is_none(), "overflow");
    }

    #[test]
    fn form_1_0_comes_in_blocks() {
        let mut block = [0; BLOCK_BYTES];
        block[..11].copy_from_slice(b"2\n0\n5\n10\n6\n");
        let mut parser = MapInData::default();
        assert_eq!(parser.push(&block), Some(true));
        assert_eq!(parser.map(20), Some(map(&[(0, 5), (10, 6)], 20)));
        assert_eq!(MapInData::default().push(&[b'1'; BLOCK_BYTES]), None);
        let mut huge = [0; BLOCK_BYTES];
        huge[..8].copy_from_slice(b"9999999\n");
        assert_eq!(MapInData::default().push(&huge), None);
    }

    #[test]
    fn forms_by_their_records() {
        let form = |records: &[(&str, &str)]| {
            let mut sparse = PaxSparse::default();
            records
                .iter()
                .try_for_each(|(key, value)| sparse.take(key.as_bytes(), value.as_bytes()))?;
            sparse.form()
        };
        assert!(matches!(form(&[]), Some(Form::Dense)));
        let two = map(&[(0, 1), (4, 2)], 9);
        let v00 = [
            ("size", "9"),
            ("numblocks", "2"),
            ("offset", "0"),
            ("numbytes", "1"),
            ("offset", "4"),
            ("numbytes", "2"),
        ];
        assert!(matches!(form(&v00), Some(Form::Mapped(map)) if map == two));
        assert!(matches!(form(&[("size", "9"), ("map", "0,1,4,2")]), Some(Form::Mapped(map)) if map == two));
        assert!(matches!(
            form(&[("major", "1"), ("minor", "0"), ("realsize", "9")]),
            Some(Form::MapInData(9))
        ));
        for bad in [
            &[("major", "2"), ("minor", "0"), ("size", "1")][..],
            &[("map", "1")],
            &[("map", "0,1")],
            &[("numbytes", "1")],
        ] {
            assert!(form(bad).is_none(), "{bad:?}");
        }
    }
}
