//! Init of every sandbox: speaks `proto/agent.proto` with the worker over one channel, and runs the client's programs behind a wall that
//! neither this process nor its channel can be seen through.
mod channel;
mod container;
mod failure;
#[cfg(any(test, fuzzing))]
pub mod harness;
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

use std::process::ExitCode;

const USAGE: &str = "usage: caisson-agent container --cgroup-fds N | microvm DISKS [READY_DISK_BYTES]";

pub fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // A kernel hands its own words on; the first program of an initramfs gets them as arguments where they hold no "=".
    if let ["microvm", disks, ref ready @ ..] = words[..] {
        let ready = ready.first().and_then(|bytes| bytes.parse().ok());
        microvm::run(disks.parse().unwrap_or(0), ready);
    }
    if let [microvm::REHEARSE] = words[..] {
        microvm::act_in_rehearsal();
    }
    #[cfg(feature = "planted")]
    let words = match words[..] {
        [.., walls] if words.len() == 4 => {
            planted::choose(walls);
            words[..3].to_vec()
        }
        _ => words,
    };
    let ["container", "--cgroup-fds", count] = words[..] else {
        return usage();
    };
    let Ok(count) = count.parse::<u8>() else { return usage() };
    match container::run(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("caisson-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
