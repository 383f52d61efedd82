//! Ways to know what is nobody's business.
mod addresses;
mod disks;
mod environment;
mod hostname;
mod ipc;
mod kernel_log;
mod markers;
mod processes;
mod uids;

use crate::attack::Attack;

pub use uids::fact;

pub const ALL: &[&Attack] = &[
    &processes::ATTACK,
    &markers::ATTACK,
    &disks::ATTACK,
    &environment::ATTACK,
    &hostname::ATTACK,
    &uids::ATTACK,
    &ipc::ATTACK,
    &kernel_log::ATTACK,
    &addresses::ATTACK,
];
