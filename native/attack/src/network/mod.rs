//! Ways to anybody outside.
mod abstract_sockets;
pub mod connect;
mod dns;
mod host_loopback;
mod interfaces;
mod metadata;
mod service;

use crate::attack::Attack;

pub const ALL: &[&Attack] = &[
    &host_loopback::ATTACK,
    &service::ATTACK,
    &metadata::ATTACK,
    &dns::ATTACK,
    &abstract_sockets::ATTACK,
    &interfaces::ATTACK,
];
