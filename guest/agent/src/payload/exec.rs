use super::accounts::User;
use crate::failure::Failure;
use crate::kernel;
use alloc::ffi::CString;
use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use caisson_frame::ErrnoName;
use caisson_frame::agent::{Exec, failed::Step};
use core::ffi::{CStr, c_char};
use core::ptr;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// All that execve needs, made while memory may still be asked for without surprise.
pub struct Program {
    name: String,
    candidates: Vec<CString>,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    pub fn new(exec: &Exec, user: &User) -> Self {
        let name = exec.args[0].clone();
        let value = |key: &str| exec.env.iter().find_map(|entry| entry.strip_prefix(key)?.strip_prefix('='));
        let path = value("PATH").unwrap_or(DEFAULT_PATH);
        let mut env: Vec<CString> = exec.env.iter().map(|entry| c_string(entry)).collect();
        for (key, default) in [("PATH", DEFAULT_PATH), ("HOME", &user.home)] {
            if value(key).is_none() {
                env.push(c_string(&format!("{key}={default}")));
            }
        }
        let args = exec.args.iter().map(|arg| c_string(arg)).collect();
        Self {
            candidates: candidates(&name, path),
            args,
            env,
            name,
        }
    }

    /// Returns only when no candidate could be executed, and says what was wrong with the best of them. `last` is done when nothing but
    /// execve is left to do.
    pub fn execute(mut self, last: impl FnOnce() -> Result<(), Failure>) -> Failure {
        self.candidates.retain(|candidate| exists(candidate));
        let (args, env) = (pointers(&self.args), pointers(&self.env));
        if let Err(failure) = last() {
            return failure;
        }
        let mut denied = None;
        for candidate in &self.candidates {
            match kernel::execute(candidate, &args, &env) {
                Errno::ACCESS => denied = Some(candidate),
                errno => return self.failure(candidate, errno),
            }
        }
        match denied {
            Some(candidate) => self.failure(candidate, Errno::ACCESS),
            None if self.name.contains('/') => Failure::new(Step::Exec, format_args!("exec {}", self.name), Errno::NOENT),
            None => Failure::explained(
                Step::Exec,
                Errno::NOENT,
                format!("exec {}: ENOENT: not found in PATH", self.name),
            ),
        }
    }

    fn failure(&self, candidate: &CStr, errno: Errno) -> Failure {
        let path = candidate.to_string_lossy();
        let why = match errno {
            Errno::NOENT => ": the file is there, its interpreter or loader is not",
            Errno::NOEXEC => ": not a program of this machine, and without a first line #!",
            _ => "",
        };
        Failure::explained(
            Step::Exec,
            errno,
            format!("exec {path}: {}{why}", ErrnoName(errno.raw_os_error())),
        )
    }
}

/// As execvpe searches; an empty part of PATH is the working directory.
fn candidates(name: &str, path: &str) -> Vec<CString> {
    if name.contains('/') || name.is_empty() {
        return vec![c_string(name)];
    }
    let place = |folder: &str| {
        if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        }
    };
    path.split(':').map(|folder| c_string(&place(folder))).collect()
}

/// Or it is for execve to say why it cannot be told.
fn exists(path: &CStr) -> bool {
    let found = accessat(CWD, path, Access::EXISTS, AtFlags::empty());
    !matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("requests with NUL bytes are refused")
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, path: &str) -> Vec<String> {
        candidates(name, path)
            .iter()
            .map(|candidate| candidate.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn path_is_searched_for_bare_names_only() {
        assert_eq!(names("sh", "/bin::/usr/bin"), ["/bin/sh", "sh", "/usr/bin/sh"]);
        assert_eq!(names("./sh", "/bin"), ["./sh"]);
        assert_eq!(names("", "/bin"), [""]);
    }

    #[test]
    fn home_and_path_are_added_where_the_client_gave_none() {
        let user = User {
            uid: 0,
            gid: 0,
            groups: vec![],
            home: "/root".into(),
        };
        let env = |given: &[&str]| {
            let env = given.iter().map(ToString::to_string).collect();
            let exec = Exec {
                args: vec!["x".into()],
                env,
                ..Exec::default()
            };
            Program::new(&exec, &user)
                .env
                .iter()
                .map(|entry| entry.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(env(&["HOME=/x", "PATH=/y"]), ["HOME=/x", "PATH=/y"]);
        assert_eq!(
            env(&["HOMER=1"]),
            ["HOMER=1".to_owned(), format!("PATH={DEFAULT_PATH}"), "HOME=/root".into()]
        );
    }
}
