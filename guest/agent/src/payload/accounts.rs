//! Users and groups by the root's own /etc/passwd and /etc/group, as OCI runtimes read them: the first match wins, odd lines are passed
//! over, a number needs no entry. No name service, for that would be the image's code.
use super::files::read_regular;
use crate::failure::Failure;
use alloc::{format, string::String, vec::Vec};
use caisson_frame::ErrnoName;
use caisson_frame::agent::failed::Step;
use rustix::io::Errno;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// The kernel takes 65,536; nobody needs them.
const MAX_GROUPS: usize = 1024;

#[derive(Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
}

/// `wanted` is "", "user" or "user:group".
pub fn find(wanted: &str) -> Result<User, Failure> {
    look_up(wanted, read_regular(PASSWD), read_regular(GROUP))
}

type Text = Result<Vec<u8>, Errno>;

fn look_up(wanted: &str, passwd: Text, group: Text) -> Result<User, Failure> {
    let (user, group_wanted) = wanted.split_once(':').unwrap_or((wanted, ""));
    let account = find_account(user, &passwd)?;
    let mut found = match &account {
        Some(account) => User {
            uid: account.uid,
            gid: account.gid,
            groups: Vec::new(),
            home: account.home.clone(),
        },
        None => User {
            uid: id(user).unwrap_or(0),
            gid: 0,
            groups: Vec::new(),
            home: String::new(),
        },
    };
    if !group_wanted.is_empty() {
        found.gid = find_group(group_wanted, &group)?;
    } else if let Some(account) = account {
        found.groups = groups_of(&account.name, &group);
    }
    // The own group too: a program that sets its group aside must not thereby get past a file that denies just that group.
    if !found.groups.contains(&found.gid) {
        found.groups.insert(0, found.gid);
    }
    if found.home.is_empty() {
        found.home = "/".into();
    }
    Ok(found)
}

struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// `None`: a number without an entry.
fn find_account(wanted: &str, passwd: &Text) -> Result<Option<Account>, Failure> {
    let number = if wanted.is_empty() { Some(0) } else { id(wanted) };
    let matches = |account: &Account| number.map_or(account.name == wanted, |number| account.uid == number);
    let found = lines(passwd).filter_map(account).find(matches);
    if found.is_none() && number.is_none() {
        return Err(missing("user", wanted, PASSWD, passwd));
    }
    Ok(found)
}

fn find_group(wanted: &str, group: &Text) -> Result<u32, Failure> {
    let number = id(wanted);
    let found = lines(group)
        .filter_map(membership)
        .find(|entry| number.map_or(entry.name == wanted, |gid| entry.gid == gid));
    found
        .map(|entry| entry.gid)
        .or(number)
        .ok_or_else(|| missing("group", wanted, GROUP, group))
}

fn groups_of(name: &str, group: &Text) -> Vec<u32> {
    let member = |entry: &Membership<'_>| entry.members.split(',').any(|member| member == name);
    lines(group)
        .filter_map(membership)
        .filter(member)
        .map(|entry| entry.gid)
        .take(MAX_GROUPS)
        .collect()
}

fn missing(kind: &str, wanted: &str, path: &str, text: &Text) -> Failure {
    let (errno, why) = match text {
        Ok(_) => (Errno::NOENT, format!("no such {kind} in {path}")),
        Err(errno) => (
            *errno,
            format!(
                "no such {kind}, for {path} cannot be read: {}",
                ErrnoName(errno.raw_os_error())
            ),
        ),
    };
    Failure::explained(Step::User, errno, format!("{kind} {wanted}: {why}"))
}

fn lines(text: &Text) -> impl Iterator<Item = &str> {
    let bytes = text.as_deref().unwrap_or_default();
    bytes
        .split(|&byte| byte == b'\n')
        .filter_map(|line| core::str::from_utf8(line).ok())
}

/// name:password:uid:gid:comment:home:shell
fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.splitn(8, ':').collect();
    let [name, _, uid, gid, ..] = fields[..] else { return None };
    if name.is_empty() || name.starts_with('#') {
        return None;
    }
    let home = fields.get(5).copied().unwrap_or_default();
    Some(Account {
        name: name.into(),
        uid: id(uid)?,
        gid: id(gid)?,
        home: home.into(),
    })
}

struct Membership<'line> {
    name: &'line str,
    gid: u32,
    members: &'line str,
}

/// name:password:gid:member,member
fn membership(line: &str) -> Option<Membership<'_>> {
    let fields: Vec<&str> = line.splitn(5, ':').collect();
    let [name, _, gid, ..] = fields[..] else { return None };
    Some(Membership {
        name,
        gid: id(gid)?,
        members: fields.get(3).copied().unwrap_or_default(),
    })
}

/// The last number means "no change" to the kernel, and is nobody's.
fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| digits && number != u32::MAX)
}

#[cfg(test)]
#[path = "accounts_test.rs"]
mod tests;
