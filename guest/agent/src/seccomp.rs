//! The list that the client's program is held to (`seccomp.json`).
use caisson_seccomp::Rule;

/// Of the list's file.
pub const LIST: [u8; 32] = caisson_seccomp::digest!();

pub const RULES: &[Rule] = caisson_seccomp::rules!();

#[cfg(test)]
#[path = "seccomp_test.rs"]
mod tests;
