//! Compressed bytes in, tar bytes out.

use crate::args::Compression;
use crate::refuse::{Reason, Stop};
use flate2::bufread::MultiGzDecoder;
use std::io::{BufReader, ErrorKind, Read};

/// 64 MiB. Every usual writer stays within 8; `zstd --ultra -22` alone asks for 128, half of what this process may have.
const MAX_ZSTD_WINDOW_LOG: u32 = 26;

const INPUT_BUFFER_BYTES: usize = 256 << 10;

pub struct Decompressor<R: Read>(Kind<R>);

enum Kind<R: Read> {
    None(R),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<R>>),
}

impl<R: Read> Decompressor<R> {
    pub fn new(compression: Compression, input: R) -> Result<Self, Stop> {
        let buffered = |input| BufReader::with_capacity(INPUT_BUFFER_BYTES, input);
        Ok(Self(match compression {
            Compression::None => Kind::None(input),
            Compression::Gzip => Kind::Gzip(Box::new(MultiGzDecoder::new(buffered(input)))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered(input)).map_err(|e| refusal(&e))?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG).map_err(|e| refusal(&e))?;
                Kind::Zstd(decoder)
            }
        }))
    }

    /// Fills the buffer as far as the input goes: less than all of it only at the end.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(refusal(&error)),
            }
        }
        Ok(filled)
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.0 {
            Kind::None(input) => input.read(buffer),
            Kind::Gzip(decoder) => decoder.read(buffer),
            Kind::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

fn refusal(error: &std::io::Error) -> Stop {
    match error.kind() {
        ErrorKind::UnexpectedEof => Stop::truncated("its compressed data"),
        _ if error.raw_os_error().is_some() => Stop::io("channel", error),
        _ => Stop::Refused(Reason::BadCompression, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn unpack(compression: Compression, input: &[u8]) -> Result<Vec<u8>, Stop> {
        let mut decoder = Decompressor::new(compression, input)?;
        let mut out = vec![0; 1 << 20];
        let length = decoder.fill(&mut out)?;
        out.truncate(length);
        Ok(out)
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn reason(result: Result<Vec<u8>, Stop>) -> Reason {
        match result {
            Err(Stop::Refused(reason, _)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn members_and_frames_are_joined() {
        assert_eq!(
            unpack(Compression::Gzip, &[gzip(b"one"), gzip(b""), gzip(b"two")].concat()).unwrap(),
            b"onetwo"
        );
        let frames = [
            zstd::bulk::compress(b"one", 3).unwrap(),
            zstd::bulk::compress(b"two", 3).unwrap(),
        ]
        .concat();
        assert_eq!(unpack(Compression::Zstd, &frames).unwrap(), b"onetwo");
    }

    #[test]
    fn every_cut_is_truncation() {
        let data: Vec<u8> = (0..2000u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        let (gz, zst) = (gzip(&data), zstd::bulk::compress(&data, 3).unwrap());
        for cut in 1..gz.len() {
            assert_eq!(
                reason(unpack(Compression::Gzip, &gz[..cut])),
                Reason::Truncated,
                "gzip cut at {cut}"
            );
        }
        for cut in 1..zst.len() {
            assert_eq!(
                reason(unpack(Compression::Zstd, &zst[..cut])),
                Reason::Truncated,
                "zstd cut at {cut}"
            );
        }
    }

    #[test]
    fn garbage_is_refused_also_behind_good_data() {
        let junk = b"this is not compressed data at all";
        for compression in [Compression::Gzip, Compression::Zstd] {
            assert_eq!(reason(unpack(compression, junk)), Reason::BadCompression);
        }
        assert_eq!(
            reason(unpack(Compression::Gzip, &[&gzip(b"data")[..], junk].concat())),
            Reason::BadCompression
        );
        let frame = zstd::bulk::compress(b"data", 3).unwrap();
        assert_eq!(
            reason(unpack(Compression::Zstd, &[&frame[..], junk].concat())),
            Reason::BadCompression
        );
        let mut flipped = gzip(b"data data data data");
        let middle = flipped.len() - 6;
        flipped[middle] ^= 1;
        assert_eq!(reason(unpack(Compression::Gzip, &flipped)), Reason::BadCompression);
    }

    #[test]
    fn a_window_past_the_bound_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small data, large window").unwrap();
        let frame = encoder.finish().unwrap();
        assert_eq!(reason(unpack(Compression::Zstd, &frame)), Reason::BadCompression);
    }
}
