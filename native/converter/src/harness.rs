//! What the fuzzer calls (`fuzz/`), and the corpus it has found so far, as a test. Any bytes may be refused; none may panic, allocate without
//! bound, or give an image that is not what it was made from.

use crate::args::{Compression, Fold};
use crate::decompress::Decompressor;
use crate::fold;
use crate::layer::Layer;
use crate::plan::Plan;
use crate::refuse::Stop;
use crate::squashfs::{self, DataWriter, Output};
use crate::tar::{Kind, Piece, Reader, Source};
use std::fs::File;
use std::os::unix::fs::FileExt;

const MAX_BYTES: u64 = 16 << 20;
const MAX_ENTRIES: u32 = 500;
const TAR_BLOCK: usize = 512;

/// The parser alone: every file has as many bytes as its entry says.
pub fn tar(bytes: &[u8]) {
    let _ = read(&summed(bytes));
}

fn read(archive: &[u8]) -> Result<(), Stop> {
    let mut reader = Reader::new(Pieces(archive));
    let mut budget = MAX_BYTES;
    while let Some(entry) = reader.next()? {
        let Kind::File(size) = entry.kind else { continue };
        if size > budget {
            // As the writer would; the data is skipped.
            continue;
        }
        budget -= size;
        let mut seen = 0;
        while let Some(piece) = reader.data()? {
            seen += match piece {
                Piece::Data(bytes) => bytes.len() as u64,
                Piece::Hole(length) => length,
            };
        }
        assert_eq!(seen, size, "{entry:?}");
    }
    Ok(())
}

/// The first byte says how it is compressed.
pub fn decompress(bytes: &[u8]) {
    let Some((compression, blob)) = compression_of(bytes) else {
        return;
    };
    let Ok(mut decompressor) = Decompressor::new(compression, blob) else {
        return;
    };
    let mut room = vec![0; 64 << 10];
    for _ in 0..MAX_BYTES / room.len() as u64 {
        match decompressor.fill(&mut room) {
            Ok(length) if length == room.len() => {}
            _ => return,
        }
    }
}

/// From a blob to an image, all the way.
pub fn layer(bytes: &[u8]) {
    let Some((compression, blob)) = compression_of(bytes) else {
        return;
    };
    let summed_tar;
    let blob = match compression {
        Compression::None => {
            summed_tar = summed(blob);
            summed_tar.as_slice()
        }
        _ => blob,
    };
    if let Ok((names, image)) = image(compression, blob) {
        let folded = fold_all(vec![image]).expect("what was written can be read");
        assert!(folded <= names, "{folded} names of {names}");
    }
}

/// Whatever lies in the store: two layers, of which the fuzzer says the lower one.
pub fn fold(bytes: &[u8]) {
    let above = tar_of_a_folder();
    if let Ok((_, above)) = image(Compression::None, &above) {
        let below = memory_file();
        below.write_all_at(bytes, 0).expect("memory for a file");
        let _ = fold_all(vec![below, above]);
    }
}

fn fold_all(layers: Vec<File>) -> Result<u64, Stop> {
    let fold = Fold {
        layers: layers.len() as u32,
        max_bytes: MAX_BYTES,
        max_entries: MAX_ENTRIES,
    };
    Ok(fold::fold(&fold, layers, memory_file(), memory_file())?.entries)
}

fn tar_of_a_folder() -> Vec<u8> {
    let mut block = [0; TAR_BLOCK];
    block[..2].copy_from_slice(b"d/");
    block[100..107].copy_from_slice(b"0000755");
    block[156] = b'5';
    block[257..265].copy_from_slice(b"ustar\x0000");
    summed(&block)
}

/// How many names it has, whiteouts with them; and the image.
fn image(compression: Compression, blob: &[u8]) -> Result<(u64, File), Stop> {
    let source = Decompressed {
        from: Decompressor::new(compression, blob)?,
        buffer: vec![0; 4096],
        at: 0,
        end: 0,
    };
    let output = memory_file();
    let copy = output.try_clone().expect("one descriptor more");
    let data = DataWriter::new(Output::new(copy, "output"), MAX_BYTES)?;
    let mut layer = Layer::new(data, None, MAX_ENTRIES)?;
    layer.read(&mut Reader::new(source))?;
    let plan = Plan::of(&layer.tree)?;
    squashfs::write(&layer.tree, &plan, layer.data, Output::new(memory_file(), "spool"))?;
    Ok((u64::from(layer.tree.name_count()), output))
}

fn compression_of(bytes: &[u8]) -> Option<(Compression, &[u8])> {
    let kinds = [Compression::None, Compression::Gzip, Compression::Zstd];
    let (first, rest) = bytes.split_first()?;
    Some((kinds[usize::from(*first) % kinds.len()], rest))
}

/// With right checksums wherever a header may be: a mutation that only breaks these teaches nothing.
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut archive = bytes.to_vec();
    for block in archive.chunks_exact_mut(TAR_BLOCK) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    archive
}

fn memory_file() -> File {
    let file = rustix::fs::memfd_create(c"harness", rustix::fs::MemfdFlags::CLOEXEC);
    file.expect("memory for a file").into()
}

/// A few bytes at a time, so that boundaries fall everywhere.
struct Pieces<'a>(&'a [u8]);

impl Source for Pieces<'_> {
    fn fill(&mut self) -> Result<&[u8], Stop> {
        Ok(&self.0[..self.0.len().min(100)])
    }

    fn consume(&mut self, count: usize) {
        self.0 = &self.0[count..];
    }
}

struct Decompressed<'a> {
    from: Decompressor<&'a [u8]>,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
}

impl Source for Decompressed<'_> {
    fn fill(&mut self) -> Result<&[u8], Stop> {
        if self.at == self.end {
            (self.at, self.end) = (0, self.from.fill(&mut self.buffer)?);
        }
        Ok(&self.buffer[self.at..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caisson_frame::harness::run_corpus;

    #[test]
    fn tar_corpus() {
        run_corpus("tar", tar);
    }

    #[test]
    fn decompress_corpus() {
        run_corpus("decompress", decompress);
    }

    #[test]
    fn layer_corpus() {
        run_corpus("layer", layer);
    }

    #[test]
    fn fold_corpus() {
        run_corpus("fold", fold);
    }
}
