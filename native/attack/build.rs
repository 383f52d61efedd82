//! The numbers of the system calls that the agent's filter knows, so that one of the programs can try all others.
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

const PROFILE: &str = "../../guest/agent/seccomp.json";

fn main() {
    println!("cargo::rerun-if-changed={PROFILE}");
    let text = std::fs::read_to_string(PROFILE).expect(PROFILE);
    let lists: Value = serde_json::from_str(&text).expect("the profile is JSON");
    let mut rust = String::from("pub const ALLOWED: &[i64] = &[\n");
    for entry in lists["allow"].as_array().expect("allow") {
        let name = entry["name"].as_str().expect("every entry has a name");
        let number = entry.get("number").map_or(format!("libc::SYS_{name}"), Value::to_string);
        writeln!(rust, "    {number},").expect("a String grows");
    }
    rust.push_str("];\n");
    let target = Path::new(&std::env::var_os("OUT_DIR").expect("set by cargo")).join("allowed.rs");
    std::fs::write(target, rust).expect("writes to OUT_DIR");
}
