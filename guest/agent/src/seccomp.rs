//! The list that the client's program is held to (`seccomp.json`).
use caisson_seccomp::Rule;

pub const RULES: &[Rule] = caisson_seccomp::rules!();

#[cfg(test)]
#[path = "seccomp_test.rs"]
mod tests;
