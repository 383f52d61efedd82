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
