//! The list that the client's program is held to (`seccomp.json`).
use caisson_seccomp::Instruction;

/// Of the list's file.
pub const LIST: [u8; 32] = caisson_seccomp::digest!();

pub const FILTER: &[Instruction] = caisson_seccomp::filter!();

#[cfg(test)]
#[path = "seccomp_test.rs"]
mod tests;
