//! Taking until others have nothing. Those that hold what they took let a neighbour look meanwhile.
mod aio;
mod cgroups;
mod cpu;
mod dentries;
mod disk;
mod files;
mod flood;
mod forks;
mod inodes;
mod inotify;
mod memory;
mod page_cache;
mod pipes;
mod queues;
mod shared_memory;
mod signals;
mod sockets;
mod terminals;

use crate::attack::Attack;

pub const ALL: &[&Attack] = &[
    &forks::ATTACK,
    &memory::ATTACK,
    &shared_memory::ATTACK,
    &page_cache::ATTACK,
    &sockets::ATTACK,
    &pipes::ATTACK,
    &inodes::ATTACK,
    &dentries::ATTACK,
    &disk::ATTACK,
    &inotify::ATTACK,
    &files::ATTACK,
    &terminals::ATTACK,
    &queues::ATTACK,
    &signals::ATTACK,
    &aio::ATTACK,
    &flood::ATTACK,
    &cgroups::ATTACK,
    &cpu::ATTACK,
];
