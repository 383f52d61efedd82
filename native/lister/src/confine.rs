//! What is left to this process before it reads a layer: a handful of system calls (`seccomp.json`). Memory and time were bounded by who
//! started it.

use caisson_seccomp::Rule;

const RULES: &[Rule] = caisson_seccomp::rules!();

pub fn confine() -> Result<(), String> {
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
