//! The only part of Caisson with root. `serve` makes sandboxes for one worker, `enter` steps down and executes, `probe` tells what the
//! machine can do.

mod args;
mod enter;
mod namespaces;
mod step;
mod sys;
mod users;

use args::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match args::parse() {
        Ok(Command::Enter(command)) => enter::enter(command),
        Ok(Command::Help) => {
            print!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("caisson-launcher: {error}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
        Ok(_) => return ExitCode::FAILURE,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("caisson-launcher: {failure}");
            ExitCode::FAILURE
        }
    }
}
