//! Ways to live longer than allowed.
mod churn;
mod daemon;
mod ignored;
mod stopped;
mod traced;
mod uninterruptible;
mod vfork;

use crate::attack::{Attack, Limits, TIGHT};

pub const ALL: &[&Attack] = &[
    &ignored::ATTACK,
    &daemon::ATTACK,
    &stopped::ATTACK,
    &uninterruptible::ATTACK,
    &vfork::ATTACK,
    &traced::ATTACK,
    &churn::ATTACK,
];

const SHORT: Limits = Limits { wall_ms: 700, ..TIGHT };
