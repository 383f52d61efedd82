//! Which extended attributes a layer keeps, and sets of them as squashfs stores them: each set once.

use crate::attributes::Xattr;
use std::collections::HashMap;
use std::rc::Rc;

pub type SetId = u32;
/// Of an inode without extended attributes.
pub const NO_SET: SetId = u32::MAX;

const USER: u16 = 0;
const TRUSTED: u16 = 1;
const SECURITY: u16 = 2;

pub struct XattrSets {
    sets: Vec<Rc<[u8]>>,
    ids: HashMap<Rc<[u8]>, SetId>,
    bytes: usize,
}

impl XattrSets {
    /// One set is always there, used or not: on an image without any, the kernel answers EOPNOTSUPP to who lists attributes, which tools in the
    /// sandbox would report for each file.
    pub fn new() -> Self {
        let mut sets = Self {
            sets: Vec::new(),
            ids: HashMap::new(),
            bytes: 0,
        };
        sets.with_opaque(NO_SET);
        sets
    }

    /// Drops what a layer may not have (see `stored_name`).
    pub fn intern(&mut self, xattrs: &[Xattr]) -> SetId {
        if xattrs.is_empty() {
            return NO_SET;
        }
        let mut sorted: Vec<&Xattr> = xattrs.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let mut set = Vec::new();
        for xattr in sorted {
            if let Some((prefix, name)) = stored_name(&xattr.name) {
                append(&mut set, prefix, name, &xattr.value);
            }
        }
        self.intern_set(set)
    }

    /// The same set, and the mark by which overlayfs hides what lies below a directory.
    pub fn with_opaque(&mut self, id: SetId) -> SetId {
        let mut set = self.sets.get(id as usize).map_or_else(Vec::new, |set| set.to_vec());
        append(&mut set, TRUSTED, b"overlay.opaque", b"y");
        self.intern_set(set)
    }

    /// In the order of their ids.
    pub fn sets(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.sets.iter().map(|set| &**set)
    }

    /// What all sets take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn intern_set(&mut self, set: Vec<u8>) -> SetId {
        if set.is_empty() {
            return NO_SET;
        }
        if let Some(id) = self.ids.get(set.as_slice()) {
            return *id;
        }
        let set: Rc<[u8]> = set.into();
        self.bytes += set.len();
        self.ids.insert(set.clone(), self.sets.len() as SetId);
        self.sets.push(set);
        self.sets.len() as SetId - 1
    }
}

/// Squashfs has three namespaces. `trusted.*` is overlayfs's own language, so a layer may not speak it; SELinux labels belong to the host that
/// made the image. POSIX ACLs (`system.*`) have no place in squashfs.
fn stored_name(name: &[u8]) -> Option<(u16, &[u8])> {
    let (prefix, rest) = if let Some(rest) = name.strip_prefix(b"user.") {
        (USER, rest)
    } else {
        (SECURITY, name.strip_prefix(b"security.")?)
    };
    (!rest.is_empty() && name != b"security.selinux").then_some((prefix, rest))
}

/// What `append` says by a number.
pub fn prefix_named(number: u16) -> Option<&'static [u8]> {
    match number {
        USER => Some(b"user."),
        TRUSTED => Some(b"trusted."),
        SECURITY => Some(b"security."),
        _ => None,
    }
}

fn append(set: &mut Vec<u8>, prefix: u16, name: &[u8], value: &[u8]) {
    set.extend(prefix.to_le_bytes());
    set.extend((name.len() as u16).to_le_bytes());
    set.extend(name);
    set.extend((value.len() as u32).to_le_bytes());
    set.extend(value);
}

/// How many attributes a stored set has.
pub fn count(mut set: &[u8]) -> u32 {
    let mut count = 0;
    while let [_, _, low, high, rest @ ..] = set {
        let (length, rest) = rest[usize::from(u16::from_le_bytes([*low, *high]))..]
            .split_first_chunk()
            .expect("written by append");
        set = &rest[u32::from_le_bytes(*length) as usize..];
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattr(name: &str, value: &[u8]) -> Xattr {
        Xattr {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn equal_sets_are_one() {
        let mut sets = XattrSets::new();
        let (a, b) = (xattr("user.a", b"1"), xattr("security.capability", b"\x01\0\0\x02"));
        let id = sets.intern(&[a.clone(), b.clone()]);
        assert_eq!(sets.intern(&[b.clone(), a.clone()]), id);
        assert_ne!(sets.intern(&[a]), id);
        assert_eq!(sets.sets().map(count).collect::<Vec<_>>(), [1, 2, 1]);
    }

    #[test]
    fn only_user_and_security_stay() {
        let mut sets = XattrSets::new();
        let foreign = [
            "trusted.overlay.opaque",
            "trusted.x",
            "system.posix_acl_access",
            "security.selinux",
            "com.apple.x",
            "user.",
            "user",
        ];
        assert_eq!(sets.intern(&foreign.map(|name| xattr(name, b"y"))), NO_SET);
        assert_eq!(sets.intern(&[]), NO_SET);
    }

    #[test]
    fn opaque_is_added_to_what_is_there() {
        let mut sets = XattrSets::new();
        let plain = sets.intern(&[xattr("user.a", b"1")]);
        let (opaque, alone) = (sets.with_opaque(plain), sets.with_opaque(NO_SET));
        assert_eq!(sets.with_opaque(plain), opaque);
        assert_eq!(sets.sets().map(count).collect::<Vec<_>>(), [1, 1, 2]);
        assert_ne!(opaque, alone);
    }
}
