//! Users and groups of the host, read from its files: a static binary has no NSS.
use std::fs::read_to_string;

pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

impl User {
    /// `NAME`, as /etc/passwd and /etc/group have it, or `UID:GID`.
    pub fn find(text: &str) -> Result<Self, String> {
        let user = match text.split_once(':') {
            Some((uid, gid)) => Self::numbers(uid, gid).ok_or_else(|| format!("--user {text}: not UID:GID"))?,
            None => Self::named(text).ok_or_else(|| format!("--user {text}: no such user in /etc/passwd"))?,
        };
        if user.uid == 0 || user.gid == 0 {
            return Err(format!("--user {text}: enter steps down, never to root"));
        }
        Ok(user)
    }

    fn numbers(uid: &str, gid: &str) -> Option<Self> {
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        // The highest number means "leave as it is" to the kernel.
        (uid != u32::MAX && gid != u32::MAX).then_some(Self {
            uid,
            gid,
            groups: vec![gid],
        })
    }

    fn named(name: &str) -> Option<Self> {
        let passwd = read_to_string("/etc/passwd").ok()?;
        let fields: Vec<&str> = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields[0] == name)?;
        let mut user = Self::numbers(fields.get(2)?, fields.get(3)?)?;
        let group = read_to_string("/etc/group").unwrap_or_default();
        user.groups.extend(group.lines().filter_map(|line| membership(line, name)));
        Some(user)
    }
}

fn membership(line: &str, name: &str) -> Option<u32> {
    let fields: Vec<&str> = line.split(':').collect();
    fields
        .get(3)?
        .split(',')
        .any(|member| member == name)
        .then(|| fields[2].parse().ok())?
}
