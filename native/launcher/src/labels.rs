//! AppArmor, where the machine has it on: profiles of ours, which children take with their exec. Who is not confined may load them only with
//! `CAP_MAC_ADMIN`, so before `serve` gives that up; who is not confined may also take them in spite of `no_new_privs`.
use crate::log;
use rustix::thread::{CapabilitySet, capabilities};
use std::ffi::CStr;
use std::fs::read_to_string;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROFILES: &str = include_str!("../caisson.apparmor");
const PARSER: &str = "apparmor_parser";
const KERNELS_FOLDER: &str = "/sys/kernel/security/apparmor";

/// What a child writes to `ASKED_AT`; nothing on a machine without.
#[derive(Clone, Copy, Default)]
pub struct Labels {
    pub agent: Option<&'static CStr>,
    /// Of converter and lister.
    pub helper: Option<&'static CStr>,
}

/// By whom it is about: no thread but itself may.
pub const ASKED_AT: &CStr = c"/proc/thread-self/attr/apparmor/exec";

const OURS: Labels = Labels {
    agent: Some(c"exec caisson.agent"),
    helper: Some(c"exec caisson.helper"),
};

impl Labels {
    /// A machine that cannot load them is told of, and goes on without.
    pub fn load() -> Self {
        if !is_on() {
            return Self::default();
        }
        match weakness().map_or_else(hand_over, Err) {
            Ok(()) => OURS,
            Err(why) => {
                log::warning(&format!("AppArmor: {why}: sandboxes have no profile"));
                Self::default()
            }
        }
    }
}

pub fn is_on() -> bool {
    read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'))
}

/// Why the profiles cannot be loaded or taken, although it is on.
pub fn hindrance() -> Option<String> {
    weakness().or_else(|| hand_to_parser(&["--version"], "").err())
}

/// What this process, or the kernel, lacks for it.
fn weakness() -> Option<String> {
    if !Path::new(KERNELS_FOLDER).exists() {
        return Some(format!("{KERNELS_FOLDER} is missing (mount -t securityfs)"));
    }
    let own = read_to_string("/proc/self/attr/apparmor/current").unwrap_or_default();
    if !is_unconfined(&own) {
        return Some(format!("this process is held to {} itself", own.trim_end()));
    }
    if !capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::MAC_ADMIN)) {
        return Some("loading profiles takes CAP_MAC_ADMIN".into());
    }
    None
}

/// A profile may be in the mode of that name.
fn is_unconfined(label: &str) -> bool {
    let label = label.trim_end();
    label == "unconfined" || label.ends_with(" (unconfined)")
}

/// Loaded anew each time: they may be another version's.
fn hand_over() -> Result<(), String> {
    let output = hand_to_parser(&["--replace", "--skip-cache", "--quiet"], PROFILES)?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{PARSER}: {}", words.trim()))
}

fn hand_to_parser(words: &[&str], input: &str) -> Result<Output, String> {
    parser(words, input).map_err(|error| format!("{PARSER} (of the package apparmor): {error}"))
}

fn parser(words: &[&str], input: &str) -> io::Result<Output> {
    let mut child = Command::new(PARSER)
        .args(words)
        .env_clear()
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // Less than a pipe holds. One that does not read it says why on its stderr.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    child.wait_with_output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unconfined_is_a_label_or_a_mode() {
        for unconfined in ["unconfined\n", "unconfined", "lxc (unconfined)\n"] {
            assert!(is_unconfined(unconfined), "{unconfined}");
        }
        for confined in [
            "docker-default (enforce)\n",
            "unconfined-not (complain)",
            "",
            "a//&unconfined (enforce)",
        ] {
            assert!(!is_unconfined(confined), "{confined}");
        }
    }

    #[test]
    fn what_children_ask_for_is_what_the_text_has() {
        for asked in [OURS.agent, OURS.helper].into_iter().flatten() {
            let name = asked.to_str().unwrap().strip_prefix("exec ").unwrap();
            assert!(PROFILES.contains(&format!("\nprofile {name} ")), "{name}");
        }
    }

    /// Without the kernel's part, which needs it to be on.
    #[test]
    fn the_parser_takes_the_text() {
        let words = [
            "--skip-kernel-load",
            "--skip-cache",
            "--kernel-features=/etc/apparmor.d/abi/3.0",
        ];
        match parser(&words, PROFILES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => eprintln!("passed over: no {PARSER} here"),
            other => {
                let output = other.unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
}
