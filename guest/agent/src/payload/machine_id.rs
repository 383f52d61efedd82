//! An image that leaves its machine id empty (machine-id(5)) wants one that no other machine has: it is made at the first program's start.
use super::files::open_regular;
use alloc::string::String;
use core::fmt::Write as _;
use rustix::fs::{OFlags, fstat};
use rustix::io::{Errno, write};
use rustix::rand::{GetRandomFlags, getrandom};

const PATH: &str = "/etc/machine-id";

pub fn fill() -> Result<(), Errno> {
    match open_regular(PATH, OFlags::RDONLY) {
        Ok(file) if fstat(&file)?.st_size == 0 => {}
        // An id of its own, or something odd that is the image's own affair.
        _ => return Ok(()),
    }
    let file = open_regular(PATH, OFlags::WRONLY)?;
    write(&file, text(draw()?).as_bytes()).map(drop)
}

fn draw() -> Result<[u8; 16], Errno> {
    let mut id = [0; 16];
    getrandom(&mut id, GetRandomFlags::empty())?;
    // A random UUID by its form.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    Ok(id)
}

fn text(id: [u8; 16]) -> String {
    let mut text = String::with_capacity(33);
    for byte in id {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::{draw, text};

    #[test]
    fn an_id_is_as_machine_id_wants_it() {
        let (one, other) = (text(draw().unwrap()), text(draw().unwrap()));
        assert_ne!(one, other);
        assert_eq!((one.len(), one.as_bytes()[12], one.as_bytes()[32]), (33, b'4', b'\n'));
        assert!(one.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
