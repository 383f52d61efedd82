//! Ways to powers that the program was not given.
mod bpf;
mod capabilities;
mod crypto;
mod families;
mod file_capabilities;
mod foreign_abi;
mod handles;
mod io_uring;
mod keyrings;
mod label;
mod machine;
mod mknod;
mod modules;
mod mounts;
mod namespaces;
mod netlink;
mod new_mounts;
mod numbers;
mod packets;
mod perf;
pub mod powers;
mod raw_disks;
mod setuid;
mod terminal;
mod userfaultfd;
mod vsock;

use crate::attack::Attack;

pub const ALL: &[&Attack] = &[
    &capabilities::ATTACK,
    &setuid::ATTACK,
    &file_capabilities::ATTACK,
    &namespaces::ATTACK,
    &mknod::ATTACK,
    &raw_disks::ATTACK,
    &mounts::ATTACK,
    &new_mounts::ATTACK,
    &handles::ATTACK,
    &modules::ATTACK,
    &machine::ATTACK,
    &terminal::ATTACK,
    &label::ATTACK,
    &keyrings::ATTACK,
    &bpf::ATTACK,
    &io_uring::ATTACK,
    &userfaultfd::ATTACK,
    &perf::ATTACK,
    &crypto::ATTACK,
    &packets::ATTACK,
    &vsock::ATTACK,
    &netlink::ATTACK,
    &families::ATTACK,
    &foreign_abi::ATTACK,
    &numbers::ATTACK,
];
