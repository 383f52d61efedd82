//! What every kind of entry has.

/// An extended attribute by its whole name, as tar and kernel say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The lower twelve bits.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Whole seconds since 1970: all that squashfs keeps.
    pub mtime: u32,
    pub xattrs: Vec<Xattr>,
}

impl Attributes {
    /// Of a directory that nothing describes.
    pub fn of_missing_directory() -> Self {
        Self {
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        }
    }
}

/// Squashfs has 1970 to 2106; what is outside becomes the nearest of these.
pub fn clamp_time(seconds: i64) -> u32 {
    seconds.clamp(0, i64::from(u32::MAX)) as u32
}

/// Device number as squashfs stores it, `None` when it does not fit.
pub fn device_number(major: u64, minor: u64) -> Option<u32> {
    let fits = major < 1 << 12 && minor < 1 << 20;
    fits.then_some(((minor & 0xff) | major << 8 | (minor & !0xff) << 12) as u32)
}
