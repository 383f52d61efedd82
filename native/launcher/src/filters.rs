//! What the launcher takes from itself and from the services, as reviewed lists of denials.
use caisson_seccomp::{Filter, Rule, compile_denials};

const LAUNCHER: &[Rule] = caisson_seccomp::rules!("launcher");
const SERVICE: &[Rule] = caisson_seccomp::rules!("service");

/// Every child has it too, below the list of its own.
pub fn launcher() -> Filter {
    compile_denials(LAUNCHER)
}

/// Of Redis, control and worker.
pub fn service() -> Filter {
    compile_denials(SERVICE)
}

#[cfg(test)]
mod tests {
    use super::{LAUNCHER, Rule, SERVICE};
    use caisson_seccomp::Verdict;
    use serde_json::Value;

    fn taken(rules: &'static [Rule]) -> impl Iterator<Item = &'static str> {
        rules
            .iter()
            .filter(|rule| rule.verdict != Verdict::Allow)
            .map(|rule| rule.name)
    }

    /// A program would be refused what its own list, its receipt and the documentation say that it may do.
    #[test]
    fn the_launcher_takes_nothing_that_its_children_are_allowed() {
        for list in [
            include_str!("../../../guest/agent/seccomp.json"),
            include_str!("../vmm.seccomp.json"),
        ] {
            let list: Value = serde_json::from_str(list).expect("JSON");
            let allowed: Vec<&str> = list["allow"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(|entry| entry["name"].as_str())
                .collect();
            let both: Vec<&str> = taken(LAUNCHER).filter(|name| allowed.contains(name)).collect();
            assert!(both.is_empty(), "{both:?}");
        }
    }

    #[test]
    fn a_service_has_no_more_than_the_launcher() {
        for name in taken(LAUNCHER) {
            assert!(taken(SERVICE).any(|other| other == name), "{name}");
        }
    }
}
