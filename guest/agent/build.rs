//! Turns `seccomp.json`, the reviewed list of system calls, into Rust: a name that the C library does not know, or an entry without a
//! reason, stops the build, and the agent itself needs no JSON parser.
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// CLONE_NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
const NAMESPACE_FLAGS: u32 = 0x7e02_0080;

fn main() {
    println!("cargo::rerun-if-changed=seccomp.json");
    let text = std::fs::read_to_string("seccomp.json").expect("seccomp.json");
    let lists: Value = serde_json::from_str(&text).expect("seccomp.json is JSON");
    let mut rust = String::from("pub const RULES: &[Rule] = &[\n");
    for (list, verdict) in [("allow", "Allow"), ("deny", "Deny"), ("absent", "Absent")] {
        for entry in lists[list].as_array().expect(list) {
            writeln!(rust, "    {},", rule(entry, verdict)).expect("a String grows");
        }
    }
    rust.push_str("];\n");
    let target = Path::new(&std::env::var_os("OUT_DIR").expect("set by cargo")).join("rules.rs");
    std::fs::write(target, rust).expect("writes to OUT_DIR");
}

fn rule(entry: &Value, verdict: &str) -> String {
    let name = entry["name"].as_str().expect("every entry has a name");
    let reason = entry["reason"].as_str().unwrap_or_default();
    assert!(reason.len() > 8, "{name} has no reason");
    let number = entry
        .get("number")
        .map_or(format!("libc::SYS_{name} as u32"), Value::to_string);
    let when = entry.get("when").map_or(String::new(), |when| alternatives(name, when));
    format!("Rule {{ name: {name:?}, number: {number}, verdict: Verdict::{verdict}, when: &[{when}] }}")
}

fn alternatives(name: &str, when: &Value) -> String {
    let alternatives = when.as_array().expect(name).iter();
    alternatives.map(|all| format!("&[{}], ", conditions(name, all))).collect()
}

fn conditions(name: &str, all: &Value) -> String {
    let each = all.as_array().expect(name).iter();
    each.map(|condition| {
        let argument = condition["arg"].as_u64().expect(name);
        let test = match (condition.get("equals"), condition.get("noneOfBits")) {
            (Some(value), None) => format!("Test::Equals({})", value.as_u64().expect(name)),
            (None, Some(bits)) if bits == "namespaces" => format!("Test::NoneOf({NAMESPACE_FLAGS})"),
            _ => panic!("{name}: a condition has `equals`, or `noneOfBits: namespaces`"),
        };
        format!("Condition {{ argument: {argument}, test: {test} }}, ")
    })
    .collect()
}
