//! Why a conversion ends without a layer.

use std::fmt::Write;

/// The reasons of `proto/reason.ts` that a layer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    DiffIdMismatch,
    Truncated,
    TooLarge,
    TooManyEntries,
    BadEntry,
    BadCompression,
    /// Ours, not the layer's: no room for the output.
    StoreFull,
    /// Ours, not the layer's: anything else.
    ConversionFailed,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::DiffIdMismatch => "LAYER_DIFF_ID_MISMATCH",
            Self::Truncated => "LAYER_TRUNCATED",
            Self::TooLarge => "LAYER_TOO_LARGE",
            Self::TooManyEntries => "LAYER_TOO_MANY_ENTRIES",
            Self::BadEntry => "LAYER_BAD_ENTRY",
            Self::BadCompression => "LAYER_BAD_COMPRESSION",
            Self::StoreFull => "LAYER_STORE_FULL",
            Self::ConversionFailed => "LAYER_CONVERSION_FAILED",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    NeedsLowers,
    Refused(Reason, String),
}

impl Stop {
    pub fn bad_entry(path: &[u8], fault: impl AsRef<str>) -> Self {
        Self::Refused(Reason::BadEntry, format!("{}: {}", shown(path), fault.as_ref()))
    }

    pub fn truncated(place: &str) -> Self {
        Self::Refused(Reason::Truncated, format!("layer ends inside {place}"))
    }

    pub fn too_large(fault: impl Into<String>) -> Self {
        Self::Refused(Reason::TooLarge, fault.into())
    }

    /// A read or write of our own files failed. The file size limit of the jail (EFBIG) is room as well.
    pub fn io(file: &str, error: &std::io::Error) -> Self {
        let reason = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Reason::StoreFull,
            _ => Reason::ConversionFailed,
        };
        Self::Refused(reason, format!("{file}: {error}"))
    }
}

/// A name from a layer as it may stand in a message: any bytes, and of any length.
pub fn shown(name: &[u8]) -> String {
    const MAX_SHOWN: usize = 200;
    let mut text = String::new();
    for piece in name[..name.len().min(MAX_SHOWN)].utf8_chunks() {
        text.extend(piece.valid().chars().flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        }));
        for byte in piece.invalid() {
            write!(text, "\\x{byte:02x}").expect("a String takes all");
        }
    }
    if name.len() > MAX_SHOWN {
        write!(text, "… ({} bytes)", name.len()).expect("a String takes all");
    }
    text
}
