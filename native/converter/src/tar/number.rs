//! Numbers as tar headers and PAX records write them.

/// A header field: octal in blanks and NULs, or base-256 when the first bit is set. `None`: neither, or beyond 64 bits.
pub fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base256(bytes),
        _ => octal(bytes),
    }
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    let digits = bytes[start..end].split(|&byte| byte == 0).next().unwrap_or_default();
    digits.iter().try_fold(0i64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// Two's complement, big-endian; the first bit only marks the encoding, the second is the sign.
fn base256(bytes: &[u8]) -> Option<i64> {
    let negative = bytes[0] & 0x40 != 0;
    let first = if negative { bytes[0] } else { bytes[0] & 0x7f };
    let start = if negative { -1i128 } else { 0 };
    let value = std::iter::once(first)
        .chain(bytes[1..].iter().copied())
        .try_fold(start, |value, byte| {
            let next = value << 8 | i128::from(byte);
            (-(1i128 << 64)..1i128 << 64).contains(&next).then_some(next)
        })?;
    i64::try_from(value).ok()
}

/// Digits only, as PAX has sizes and ids.
pub fn decimal(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0i64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// A PAX time, `[-]SECONDS[.FRACTION]`, as whole seconds, rounded down.
pub fn time(bytes: &[u8]) -> Option<i64> {
    let (negative, rest) = bytes.strip_prefix(b"-").map_or((false, bytes), |rest| (true, rest));
    let (whole, fraction) = match rest.iter().position(|&byte| byte == b'.') {
        Some(point) => (&rest[..point], &rest[point + 1..]),
        None => (rest, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = decimal(whole)?;
    let beyond = fraction.iter().any(|&digit| digit != b'0');
    Some(if negative { -seconds - i64::from(beyond) } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn octal_fields() {
        assert_eq!(field(b"0000644\0"), Some(0o644));
        assert_eq!(field(b" 755 \0\0\0"), Some(0o755));
        assert_eq!(field(&[0; 12]), Some(0));
        assert_eq!(field(b"77777777777\0"), Some(0o77777777777));
        assert_eq!(field(b"12\x003456"), Some(0o12));
        for bad in [&b"0000648\0"[..], b"-000001\0", b"0x12\0", b"+1", b"1 2"] {
            assert_eq!(field(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base_256_fields() {
        assert_eq!(field(&[0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), Some(1 << 32));
        assert_eq!(field(&[0xff; 12]), Some(-1));
        assert_eq!(field(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Some(-2));
        assert_eq!(
            field(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            None
        );
        assert_eq!(field(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn times() {
        assert_eq!(time(b"12"), Some(12));
        assert_eq!(time(b"12.999999999"), Some(12));
        assert_eq!(time(b"-1.5"), Some(-2));
        assert_eq!(time(b"-1.0"), Some(-1));
        for bad in [&b""[..], b".5", b"-", b"1.5x", b"1e9", b"99999999999999999999"] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_field_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            field(&bytes);
            time(&bytes);
        }

        #[test]
        fn base_256_round_trip(value in any::<i64>()) {
            let mut bytes = [if value < 0 { 0xff } else { 0 }; 12];
            bytes[4..].copy_from_slice(&value.to_be_bytes());
            bytes[0] |= 0x80;
            prop_assert_eq!(field(&bytes), Some(value));
        }
    }
}
