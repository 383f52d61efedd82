//! Ways to files and descriptors of the host.
mod core_pattern;
mod cwd;
mod descriptors;
mod devices;
mod masked;
mod paths;
mod self_exe;
mod settings;
mod sysfs;
mod traps;

use crate::attack::Attack;

pub const ALL: &[&Attack] = &[
    &self_exe::ATTACK,
    &descriptors::ATTACK,
    &cwd::ATTACK,
    &paths::ATTACK,
    &masked::ATTACK,
    &traps::ATTACK,
    &settings::ATTACK,
    &sysfs::ATTACK,
    &core_pattern::ATTACK,
    &devices::ATTACK,
];
