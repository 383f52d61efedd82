//! What is left to this process before it reads a layer: bounded memory and time, and a handful of system calls (`seccomp.json`).

use caisson_seccomp::Rule;
use rustix::process::{Resource, Rlimit, setrlimit};

/// What four million entries take, twice.
const MEMORY_BYTES: u64 = 1 << 30;
const CPU_SECONDS: u64 = 60;

const RULES: &[Rule] = caisson_seccomp::rules!();

pub fn confine() -> Result<(), String> {
    let limit = |resource, most| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(|error| format!("limit: {error}"))
    };
    limit(Resource::As, MEMORY_BYTES)?;
    limit(Resource::Cpu, CPU_SECONDS)?;
    limit(Resource::Core, 0)?;
    caisson_seccomp::confine(RULES).map_err(|errno| format!("seccomp: {errno}"))
}

#[cfg(test)]
mod tests {
    use super::RULES;
    use caisson_seccomp::{compile, simulate::check_says_what_is_listed};

    #[test]
    fn it_says_what_is_listed() {
        check_says_what_is_listed(RULES, &compile(RULES));
    }
}
