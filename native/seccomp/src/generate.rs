//! Turns a list (JSON) into Rust, in the build script of whoever has the list: a name that the C library does not know, an entry without
//! a reason or one that comes twice stops the build, and the program itself needs no JSON parser.
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

/// CLONE_NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
const NAMESPACE_FLAGS: u32 = 0x7e02_0080;

/// Writes `rules.rs` and `rules.digest.rs` to OUT_DIR, for `caisson_seccomp::rules!` and `digest!`. `file` lies beside the build script.
pub fn generate(file: &str) {
    generate_as(file, "rules");
}

/// The same for a crate's other lists: `NAME.rs`, for `rules!("NAME")`.
pub fn generate_as(file: &str, name: &str) {
    println!("cargo::rerun-if-changed={file}");
    let text = std::fs::read_to_string(file).expect(file);
    let lists: Value = serde_json::from_str(&text).expect("the list is JSON");
    let (mut rust, mut seen) = (String::from("&[\n"), HashSet::new());
    for (list, verdict) in [("allow", "Allow"), ("deny", "Deny"), ("absent", "Absent")] {
        for entry in lists[list].as_array().expect(list) {
            let rule = rule(entry, verdict);
            assert!(seen.insert(entry["name"].clone()), "twice: {rule}");
            writeln!(rust, "    {rule},").expect("a String grows");
        }
    }
    rust.push_str("]\n");
    let folder = std::env::var_os("OUT_DIR").expect("set by cargo");
    let target = Path::new(&folder);
    std::fs::write(target.join(format!("{name}.rs")), rust).expect("writes to OUT_DIR");
    let digest: [u8; 32] = Sha256::digest(&text).into();
    std::fs::write(target.join(format!("{name}.digest.rs")), format!("{digest:?}")).expect("writes to OUT_DIR");
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
    each.map(|condition| condition_of(name, condition)).collect()
}

/// The lower 32 bits are all that the kernel reads of an argument where lists have conditions.
fn condition_of(name: &str, condition: &Value) -> String {
    let number = |value: &Value| value.as_u64().and_then(|value| u32::try_from(value).ok()).expect(name);
    let bits = |value: &Value| {
        if value == "namespaces" {
            NAMESPACE_FLAGS
        } else {
            number(value)
        }
    };
    let argument = condition["arg"].as_u64().filter(|argument| *argument < 6).expect(name);
    let (mask, value, holds) = match ["equals", "noneOfBits", "someOfBits"].map(|kind| condition.get(kind)) {
        [Some(value), None, None] => (u32::MAX, number(value), true),
        [None, Some(none), None] => (bits(none), 0, true),
        [None, None, Some(some)] => (bits(some), 0, false),
        _ => panic!("{name}: a condition has `equals`, `noneOfBits` or `someOfBits`"),
    };
    format!("Condition {{ argument: {argument}, test: Test::Masked {{ mask: {mask}, value: {value} }}, holds: {holds} }}, ")
}
