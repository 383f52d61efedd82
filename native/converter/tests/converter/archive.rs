//! Tars by hand: every field as the test wants it.

pub const BLOCK: usize = 512;

#[derive(Clone, Default)]
pub struct Archive {
    pub bytes: Vec<u8>,
}

/// A header block, then whatever it says of itself.
#[derive(Clone)]
pub struct Member {
    header: [u8; BLOCK],
    data: Vec<u8>,
}

impl Member {
    pub fn new(kind: u8, path: &[u8]) -> Self {
        let mut member = Self {
            header: [0; BLOCK],
            data: Vec::new(),
        };
        member.header[257..265].copy_from_slice(b"ustar\x0000");
        member.header[156] = kind;
        member
            .text(0, path)
            .octal(100..108, 0o644)
            .octal(108..116, 0)
            .octal(116..124, 0)
            .octal(124..136, 0)
            .octal(136..148, 1_000_000_000)
    }

    pub fn text(mut self, at: usize, text: &[u8]) -> Self {
        self.header[at..at + text.len()].copy_from_slice(text);
        self
    }

    pub fn octal(mut self, field: std::ops::Range<usize>, value: u64) -> Self {
        let digits = format!("{value:0width$o}\0", width = field.len() - 1);
        self.header[field].copy_from_slice(digits.as_bytes());
        self
    }

    pub fn mode(self, mode: u64) -> Self {
        self.octal(100..108, mode)
    }

    pub fn owner(self, uid: u64, gid: u64) -> Self {
        self.octal(108..116, uid).octal(116..124, gid)
    }

    pub fn time(self, time: u64) -> Self {
        self.octal(136..148, time)
    }

    pub fn link(self, target: &[u8]) -> Self {
        self.text(157, target)
    }

    pub fn device(self, major: u64, minor: u64) -> Self {
        self.octal(329..337, major).octal(337..345, minor)
    }

    pub fn gnu(self) -> Self {
        self.text(257, b"ustar  \0")
    }

    /// Data, and its true size in the header.
    pub fn data(self, data: &[u8]) -> Self {
        let size = data.len() as u64;
        self.stored(data).octal(124..136, size)
    }

    /// Data whatever the header says.
    pub fn stored(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    pub fn bytes(mut self) -> Vec<u8> {
        self.header[148..156].fill(b' ');
        let sum: u32 = self.header.iter().map(|&byte| u32::from(byte)).sum();
        self.header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let padding = self.data.len().wrapping_neg() % BLOCK;
        [&self.header[..], &self.data, &vec![0; padding]].concat()
    }
}

impl Archive {
    pub fn member(mut self, member: Member) -> Self {
        self.bytes.extend(member.bytes());
        self
    }

    pub fn dir(self, path: &str) -> Self {
        self.member(Member::new(b'5', path.as_bytes()).mode(0o755))
    }

    pub fn file(self, path: &str, data: &str) -> Self {
        self.member(Member::new(b'0', path.as_bytes()).data(data.as_bytes()))
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.member(Member::new(b'2', path.as_bytes()).mode(0o777).link(target.as_bytes()))
    }

    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.member(Member::new(b'1', path.as_bytes()).link(target.as_bytes()))
    }

    /// An extended header for what comes next.
    pub fn pax(self, records: &[(&[u8], &[u8])]) -> Self {
        let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.member(Member::new(b'x', b"PaxHeaders/x").data(&data))
    }

    pub fn end(mut self) -> Vec<u8> {
        self.bytes.extend([0; 2 * BLOCK]);
        self.bytes
    }
}

fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest..)
        .find(|length| rest + length.to_string().len() == *length)
        .expect("some length fits");
    [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
}
