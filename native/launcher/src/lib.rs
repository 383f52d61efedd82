//! The only part of Caisson with root. `serve` makes sandboxes for one worker, `enter` steps down and executes, `probe` tells what the
//! machine can do.

mod account;
mod args;
mod cgroup;
mod channel;
mod child;
mod clone;
mod console;
mod control;
mod conversation;
mod convert;
mod digest;
mod enter;
mod fence;
mod filters;
mod fold;
mod guest;
#[cfg(any(test, fuzzing))]
pub mod harness;
mod helper;
mod instance;
mod keeping;
mod labels;
mod launcher;
mod layer;
mod layer_key;
mod layers;
mod list;
mod log;
mod loops;
mod machine;
mod mounts;
mod namespaces;
mod observed;
mod origin;
mod overlay;
mod peer;
mod plan;
mod planted;
mod privileges;
mod probe;
mod process;
mod program;
mod roots;
mod run;
mod sandbox;
mod scratch;
mod sealed;
mod serve;
mod spare;
mod spec;
mod step;
mod store;
mod sweep;
mod sys;
mod templates;
mod uids;
mod users;
mod vmm_filter;
mod walls;
mod watch;

use args::Command;
use std::process::ExitCode;

pub fn run() -> ExitCode {
    let outcome = match args::parse() {
        Ok(Command::Serve(command)) => serve::serve(&command),
        Ok(Command::Enter(command)) => enter::enter(command),
        Ok(Command::Probe) => probe::probe(),
        Ok(Command::Help) => {
            print!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("caisson-launcher: {error}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("caisson-launcher: {failure}");
            ExitCode::FAILURE
        }
    }
}
