//! The agent's own list, so that one of the programs can try every call that it does not allow.
fn main() {
    caisson_seccomp::generate("../../guest/agent/seccomp.json");
}
