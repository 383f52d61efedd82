//! What a program finds of the machine around it, where that is a machine of its own.
mod disks;
mod hardware;
mod instructions;
mod ports;
mod restart;

use crate::attack::Attack;

pub const ALL: &[&Attack] = &[
    &disks::ATTACK,
    &ports::ATTACK,
    &hardware::ATTACK,
    &instructions::ATTACK,
    &restart::ATTACK,
];

const ONLY: &[&str] = &["microvm"];
