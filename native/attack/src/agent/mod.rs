//! Ways to the process that runs the program, and to its word with the worker.
mod binary;
mod frames;
mod interference;
mod memory;
mod ptrace;
mod sockets;

use crate::attack::Attack;

pub const ALL: &[&Attack] = &[
    &ptrace::ATTACK,
    &memory::ATTACK,
    &binary::ATTACK,
    &interference::ATTACK,
    &frames::ATTACK,
    &sockets::ATTACK,
];
