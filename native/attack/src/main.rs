//! One program, many attacks: each is a file of its own in the folder of its class, and begins with what it tries, which incident it stands
//! for, and what must happen. `caisson doctor --attack` runs them through the public API, one run each; see docs/attack.md.
mod agent;
mod attack;
mod exhaustion;
mod hints;
mod host;
mod information;
mod kernel;
mod microvm;
mod neighbour;
mod network;
mod privileges;
mod time;

use attack::{Attack, Verdict};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "usage: caisson-attack list | run NAME [WORD] | neighbour | powers | linger WORD";

fn corpus() -> impl Iterator<Item = &'static Attack> {
    let classes = [
        host::ALL,
        agent::ALL,
        privileges::ALL,
        network::ALL,
        exhaustion::ALL,
        time::ALL,
        information::ALL,
        microvm::ALL,
    ];
    classes.into_iter().flatten().copied()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => list(),
        ["run", name] | ["run", name, _] => run(name),
        ["neighbour"] => tell(&neighbour::look()),
        // The rest is executed by attacks.
        ["powers"] => privileges::powers::tell(),
        ["linger", _] => kernel::pause_for_ever(),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn list() -> ExitCode {
    let all: Vec<_> = corpus().map(Attack::json).collect();
    say(&serde_json::Value::from(all).to_string());
    ExitCode::SUCCESS
}

fn run(name: &str) -> ExitCode {
    let Some(attack) = corpus().find(|attack| attack.name == name) else {
        eprintln!("caisson-attack: no attack is named {name}");
        return ExitCode::from(2);
    };
    let verdict = (attack.run)();
    tell(&verdict);
    if attack.holds {
        say("holding");
        kernel::pause_for_ever();
    }
    ExitCode::from(attack.exit_code as u8)
}

fn tell(verdict: &Verdict) -> ExitCode {
    say(&verdict.line());
    ExitCode::SUCCESS
}

/// Nobody may be left to read it.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
