//! An archive as the kernel unpacks it into its first root ("newc"): no more than it needs.
use std::io::Write;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    inodes: u32,
}

impl Archive {
    pub fn folder(&mut self, name: &str) {
        self.add(name, FOLDER, &[], (0, 0));
    }

    pub fn program(&mut self, name: &str, content: &[u8]) {
        self.add(name, PROGRAM, content, (0, 0));
    }

    pub fn file(&mut self, name: &str, content: &[u8]) {
        self.add(name, FILE, content, (0, 0));
    }

    pub fn console(&mut self, name: &str) {
        self.add(name, CHARACTER_DEVICE, &[], (5, 1));
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[], (0, 0));
        self.bytes
    }

    fn add(&mut self, name: &str, mode: u32, content: &[u8], device: (u32, u32)) {
        self.inodes += 1;
        let fields = [
            self.inodes,
            mode,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            write!(self.bytes, "{field:08x}").expect("a vector grows");
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn every_entry_begins_at_a_multiple_of_four() {
        let mut archive = Archive::default();
        archive.folder("dev");
        archive.program("init", b"12345");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let starts: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(starts.len(), 3);
        assert!(starts.iter().all(|at| at % 4 == 0));
        assert!(text.contains("TRAILER!!!"));
    }

    #[test]
    fn others_read_it() {
        let mut archive = Archive::default();
        archive.program("init", b"12345");
        // Where busybox is not installed there is nothing to compare with.
        let Ok(mut cpio) = Command::new("busybox")
            .args(["cpio", "-tv"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            return;
        };
        cpio.stdin
            .take()
            .expect("piped")
            .write_all(&archive.finish())
            .expect("cpio reads");
        let listing = cpio.wait_with_output().expect("cpio ends").stdout;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        assert!(listing.contains("-rwxr-xr-x") && listing.contains("init"), "{listing}");
    }
}
