use super::Source;
use super::entry::{Entry, Layout, Leading, assemble};
use super::header::{BLOCK_BYTES, Header};
use super::pax::{Extended, check_global};
use super::sparse::{MapInData, Segment, SparseMap, old_gnu_extension};
use crate::refuse::Stop;

/// Of an extended header or a long name.
const MAX_LEADING_BYTES: u64 = 1 << 20;

/// Reads an archive entry by entry; what of an entry's data is not asked for is skipped.
pub struct Reader<S> {
    source: S,
    /// Bytes of `source` that the last piece lent out.
    lent: usize,
    /// Data and padding of the current entry that are still to come.
    stored: u64,
    padding: u64,
    file: SparseMap,
    next_segment: usize,
    /// Where in the current file the next piece begins.
    at: u64,
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Data(&'a [u8]),
    Hole(u64),
}

impl<S: Source> Reader<S> {
    pub fn new(source: S) -> Self {
        Self {
            source,
            lent: 0,
            stored: 0,
            padding: 0,
            file: SparseMap::default(),
            next_segment: 0,
            at: 0,
        }
    }

    /// The rest of the archive is behind its end mark: nothing that counts.
    pub fn into_source(self) -> S {
        self.source
    }

    pub fn next(&mut self) -> Result<Option<Entry>, Stop> {
        self.skip_data()?;
        let mut leading = Leading::default();
        loop {
            let Some(header) = self.header()? else {
                return if leading.is_empty() {
                    Ok(None)
                } else {
                    Err(Stop::truncated("an extended header"))
                };
            };
            let twice = match header.kind() {
                b'x' => leading.extended.replace(Extended::parse(&self.leading(&header)?)?).is_some(),
                b'L' => leading.long_path.replace(up_to_nul(self.leading(&header)?)).is_some(),
                b'K' => leading.long_link.replace(up_to_nul(self.leading(&header)?)).is_some(),
                b'g' => {
                    check_global(&self.leading(&header)?)?;
                    false
                }
                _ => return self.entry(&header, leading).map(Some),
            };
            if twice {
                return Err(header.bad("two extended headers of one kind for one entry"));
            }
        }
    }

    /// The next part of the current file, `None` at its end.
    pub fn data(&mut self) -> Result<Option<Piece<'_>>, Stop> {
        self.source.consume(std::mem::take(&mut self.lent));
        while self
            .file
            .segments
            .get(self.next_segment)
            .is_some_and(|segment| segment.offset + segment.length <= self.at)
        {
            self.next_segment += 1;
        }
        let (data_start, data_end) = match self.file.segments.get(self.next_segment) {
            Some(segment) => (segment.offset, segment.offset + segment.length),
            None => (self.file.size, self.file.size),
        };
        if self.at < data_start {
            let hole = data_start - self.at;
            self.at = data_start;
            return Ok(Some(Piece::Hole(hole)));
        }
        if self.at == data_end {
            return Ok(None);
        }
        let available = self.source.fill()?;
        if available.is_empty() {
            return Err(Stop::truncated("the data of a file"));
        }
        let count = available.len().min(usize::try_from(data_end - self.at).unwrap_or(usize::MAX));
        self.lent = count;
        self.at += count as u64;
        self.stored -= count as u64;
        Ok(Some(Piece::Data(&available[..count])))
    }

    fn entry(&mut self, header: &Header, leading: Leading) -> Result<Entry, Stop> {
        let (entry, layout) = assemble(header, leading)?;
        let bad_map = || Stop::bad_entry(&entry.path, "bad sparse map");
        let (stored, map) = match layout {
            Layout::Nothing => (0, SparseMap::default()),
            Layout::Dense { stored } => (
                stored,
                SparseMap {
                    segments: vec![Segment {
                        offset: 0,
                        length: stored,
                    }],
                    size: stored,
                },
            ),
            Layout::Mapped { stored, map } => (stored, map),
            Layout::OldGnu {
                stored,
                mut map,
                mut more,
            } => {
                while more {
                    more = old_gnu_extension(&mut map, &self.block("a sparse map")?).ok_or_else(bad_map)?;
                }
                (stored, map)
            }
            Layout::MapInData { stored, size } => {
                let mut parser = MapInData::default();
                let mut data = stored;
                loop {
                    data = data.checked_sub(BLOCK_BYTES as u64).ok_or_else(bad_map)?;
                    if parser.push(&self.block("a sparse map")?).ok_or_else(bad_map)? {
                        break (data, parser.map(size).ok_or_else(bad_map)?);
                    }
                }
            }
        };
        self.file = map.checked(stored).ok_or_else(bad_map)?;
        (self.stored, self.padding) = (stored, padding(stored));
        (self.next_segment, self.at) = (0, 0);
        Ok(entry)
    }

    /// `None` at the end: two blocks of zeros, or simply no more bytes.
    fn header(&mut self) -> Result<Option<Header>, Stop> {
        if self.source.fill()?.is_empty() {
            return Ok(None);
        }
        let header = Header(self.block("a header")?);
        if !header.is_zero() {
            header.verify()?;
            return Ok(Some(header));
        }
        if self.source.fill()?.is_empty() || Header(self.block("the end mark")?).is_zero() {
            return Ok(None);
        }
        Err(Stop::bad_entry(b"end mark", "only one of its two blocks is zero"))
    }

    fn leading(&mut self, header: &Header) -> Result<Vec<u8>, Stop> {
        let size = header.size()?;
        if size > MAX_LEADING_BYTES {
            return Err(header.bad(&format!("an extended header of {size} bytes, at most {MAX_LEADING_BYTES}")));
        }
        let mut bytes = vec![0; size as usize];
        self.read_exact(&mut bytes, "an extended header")?;
        self.skip(padding(size), "an extended header")?;
        Ok(bytes)
    }

    fn skip_data(&mut self) -> Result<(), Stop> {
        self.source.consume(std::mem::take(&mut self.lent));
        self.file = SparseMap::default();
        let stored = std::mem::take(&mut self.stored);
        self.skip(stored, "the data of a file")?;
        let padding = std::mem::take(&mut self.padding);
        self.skip(padding, "the padding of a file")
    }

    fn skip(&mut self, mut count: u64, place: &str) -> Result<(), Stop> {
        while count > 0 {
            let available = self.source.fill()?.len();
            if available == 0 {
                return Err(Stop::truncated(place));
            }
            let step = available.min(usize::try_from(count).unwrap_or(usize::MAX));
            self.source.consume(step);
            count -= step as u64;
        }
        Ok(())
    }

    fn block(&mut self, place: &str) -> Result<[u8; BLOCK_BYTES], Stop> {
        let mut block = [0; BLOCK_BYTES];
        self.read_exact(&mut block, place)?;
        Ok(block)
    }

    fn read_exact(&mut self, buffer: &mut [u8], place: &str) -> Result<(), Stop> {
        let mut filled = 0;
        while filled < buffer.len() {
            let available = self.source.fill()?;
            if available.is_empty() {
                return Err(Stop::truncated(place));
            }
            let step = available.len().min(buffer.len() - filled);
            buffer[filled..filled + step].copy_from_slice(&available[..step]);
            self.source.consume(step);
            filled += step;
        }
        Ok(())
    }
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK_BYTES as u64
}

fn up_to_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::archive::{Archive, Member};
    use super::*;
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
}
