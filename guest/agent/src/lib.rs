//! Init of every sandbox: speaks `proto/agent.proto` with the worker over one channel, and runs the client's programs behind a wall that
//! neither this process nor its channel can be seen through.
#![cfg_attr(not(any(test, fuzzing)), no_std)]

extern crate alloc;

mod channel;
mod container;
mod failure;
#[cfg(any(test, fuzzing))]
pub mod harness;
mod io;
mod kernel;
mod microvm;
mod outbox;
mod outcome;
mod payload;
mod planted;
mod process;
mod programs;
mod rights;
mod seccomp;
mod session;
mod signals;
mod streams;

use core::fmt::Display;

pub use kernel::leave;

const USAGE: &str = "usage: container --cgroup-fds N | microvm DISKS [READY_DISK_BYTES]";

/// What the process is to end with. `words`: the arguments, without the program's name.
pub fn run(words: &[&str]) -> i32 {
    kernel::ignore_broken_pipes();
    // A kernel hands its own words on; the first program of an initramfs gets them as arguments where they hold no "=".
    if let ["microvm", disks, ref ready @ ..] = *words {
        let ready = ready.first().and_then(|bytes| bytes.parse().ok());
        microvm::run(disks.parse().unwrap_or(0), ready);
    }
    if let [microvm::REHEARSE] = *words {
        microvm::act_in_rehearsal();
    }
    #[cfg(feature = "planted")]
    let words = match *words {
        [ref usual @ .., walls] if words.len() == 4 => {
            planted::choose(walls);
            usual
        }
        _ => words,
    };
    let ["container", "--cgroup-fds", count] = *words else {
        return usage();
    };
    let Ok(count) = count.parse::<u8>() else { return usage() };
    match container::run(count) {
        Ok(()) => 0,
        Err(error) => {
            io::complain(error);
            1
        }
    }
}

/// Where nothing is to be saved.
pub fn die(why: impl Display) -> ! {
    io::complain(why);
    kernel::leave(101)
}

fn usage() -> i32 {
    io::complain(USAGE);
    2
}
