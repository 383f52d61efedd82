//! What this machine can do, found out by trying it with the code that will do it. Leaves nothing behind: all is tried in a mount
//! namespace of its own, on files without names.
mod control;
mod kernel;
mod storage;

use crate::guest;
use crate::roots::KVM;
use crate::step::Failure;

use serde_json::{Value, json};
use std::path::Path;

/// lowerdir+ of overlayfs, by which an overlay takes hundreds of layers, came last of what is needed.
const OLDEST_KERNEL: (u32, u32) = (6, 8);

pub struct Fact {
    name: &'static str,
    works: bool,
    /// What was found, or why not and what that costs.
    detail: String,
    /// Without it there is no container.
    needed: bool,
}

impl Fact {
    fn needed(name: &'static str, tried: Result<String, String>) -> Self {
        let works = tried.is_ok();
        Self {
            name,
            works,
            detail: tried.unwrap_or_else(|why| why),
            needed: true,
        }
    }

    fn useful(name: &'static str, tried: Result<String, String>) -> Self {
        Self {
            needed: false,
            ..Self::needed(name, tried)
        }
    }
}

pub fn probe() -> Result<(), Failure> {
    let release = kernel::release();
    let facts: Vec<Fact> = kernel::facts(&release)
        .into_iter()
        .chain(control::facts())
        .chain(storage::facts())
        .collect();
    println!(
        "{}",
        json!({ "kernel": release, "facts": facts.iter().map(show).collect::<Value>(), "backends": backends(&facts) })
    );
    Ok(())
}

fn show(fact: &Fact) -> Value {
    json!({ "name": fact.name, "works": fact.works, "detail": fact.detail })
}

fn backends(facts: &[Fact]) -> Value {
    let missing: Vec<String> = facts
        .iter()
        .filter(|fact| fact.needed && !fact.works)
        .map(|fact| format!("{}: {}", fact.name, fact.detail))
        .collect();
    let oldest = format!("{}.{}", OLDEST_KERNEL.0, OLDEST_KERNEL.1);
    let guest = guest::problem(Path::new(guest::FOLDER), Path::new(KVM));
    json!([
        { "name": "container", "works": missing.is_empty(), "reason": missing.join("; "), "oldest_kernel": oldest },
        { "name": "microvm", "works": guest.is_none(), "reason": guest.unwrap_or_default(), "oldest_kernel": oldest },
    ])
}

fn told(failure: &Failure) -> String {
    failure.to_string()
}
