//! Turns a list (JSON) into Rust, in the build script of whoever has the list: a name that is no call's, an entry without a reason or one that
//! comes twice stops the build, and the program itself needs no JSON parser, nor any time for what can be done before it is built.
use crate::{ABSENT, Condition, Instruction, Test, Verdict, decided, program};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::Path;
use syscalls::Sysno;

/// CLONE_NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
const NAMESPACE_FLAGS: u32 = 0x7e02_0080;

/// Writes `rules.rs`, `rules.filter.rs` and `rules.digest.rs` to OUT_DIR, for `caisson_seccomp::rules!`, `filter!` and `digest!`. `file` lies
/// beside the build script.
pub fn generate(file: &str) {
    generate_as(file, "rules");
}

/// The same for a crate's other lists: `NAME.rs`, for `rules!("NAME")`.
pub fn generate_as(file: &str, name: &str) {
    println!("cargo::rerun-if-changed={file}");
    let text = std::fs::read_to_string(file).expect(file);
    let entries = entries(&serde_json::from_str(&text).expect("the list is JSON"));
    let rules = entries.iter().map(Entry::rust).collect();
    let calls = entries
        .iter()
        .map(|entry| decided(entry.number, entry.verdict, &entry.when))
        .collect();
    let filter = program(calls, ABSENT).expect("a reviewed list fits the kernel");
    let digest: [u8; 32] = Sha256::digest(&text).into();
    write(&format!("{name}.rs"), &slice(rules));
    write(&format!("{name}.filter.rs"), &slice(filter.iter().map(instruction).collect()));
    write(&format!("{name}.digest.rs"), &format!("{digest:?}"));
}

fn write(file: &str, rust: &str) {
    let folder = std::env::var_os("OUT_DIR").expect("set by cargo");
    std::fs::write(Path::new(&folder).join(file), rust).expect("writes to OUT_DIR");
}

fn slice(lines: Vec<String>) -> String {
    format!(
        "&[\n{}]\n",
        lines.iter().map(|line| format!("    {line},\n")).collect::<String>()
    )
}

fn instruction(Instruction { code, jt, jf, k }: &Instruction) -> String {
    format!("Instruction {{ code: {code}, jt: {jt}, jf: {jf}, k: {k} }}")
}

struct Entry {
    name: String,
    number: u32,
    verdict: Verdict,
    when: Vec<Vec<Condition>>,
}

fn entries(lists: &Value) -> Vec<Entry> {
    let lists = [
        ("allow", Verdict::Allow),
        ("deny", Verdict::Deny),
        ("absent", Verdict::Absent),
    ]
    .map(|(list, verdict)| {
        let entries = lists[list].as_array().expect(list);
        entries.iter().map(move |entry| Entry::new(entry, verdict))
    });
    let entries: Vec<Entry> = lists.into_iter().flatten().collect();
    let mut seen = HashSet::new();
    for Entry { name, .. } in &entries {
        assert!(seen.insert(name), "twice: {name}");
    }
    entries
}

impl Entry {
    fn new(entry: &Value, verdict: Verdict) -> Self {
        let name = entry["name"].as_str().expect("every entry has a name");
        let reason = entry["reason"].as_str().unwrap_or_default();
        assert!(reason.len() > 8, "{name} has no reason");
        let known = || name.parse::<Sysno>().unwrap_or_else(|()| panic!("{name} is no call")).id() as u32;
        let when = entry.get("when").map(|when| when.as_array().expect(name));
        Self {
            name: name.to_owned(),
            number: entry.get("number").map_or_else(known, |number| word(name, number)),
            verdict,
            when: when.into_iter().flatten().map(|all| conditions(name, all)).collect(),
        }
    }

    fn rust(&self) -> String {
        let Self {
            name, number, verdict, ..
        } = self;
        let conditions = |all: &Vec<Condition>| format!("&[{}], ", all.iter().map(rust).collect::<String>());
        let when: String = self.when.iter().map(conditions).collect();
        format!("Rule {{ name: {name:?}, number: {number}, verdict: Verdict::{verdict:?}, when: &[{when}] }}")
    }
}

fn rust(Condition { argument, test, holds }: &Condition) -> String {
    format!("Condition {{ argument: {argument}, test: Test::{test:?}, holds: {holds} }}, ")
}

fn conditions(name: &str, all: &Value) -> Vec<Condition> {
    let each = all.as_array().expect(name).iter();
    each.map(|condition| condition_of(name, condition)).collect()
}

/// The lower 32 bits are all that the kernel reads of an argument where lists have conditions.
fn condition_of(name: &str, condition: &Value) -> Condition {
    let bits = |value: &Value| match value {
        Value::String(all) if all == "namespaces" => NAMESPACE_FLAGS,
        value => word(name, value),
    };
    let argument = word(name, &condition["arg"]);
    assert!(argument < 6, "{name}: an argument above 5");
    let (mask, value, holds) = match ["equals", "noneOfBits", "someOfBits"].map(|kind| condition.get(kind)) {
        [Some(value), None, None] => (u32::MAX, word(name, value), true),
        [None, Some(none), None] => (bits(none), 0, true),
        [None, None, Some(some)] => (bits(some), 0, false),
        _ => panic!("{name}: a condition has `equals`, `noneOfBits` or `someOfBits`"),
    };
    let (mask, value) = (mask.into(), value.into());
    Condition {
        argument,
        test: Test::Masked { mask, value },
        holds,
    }
}

fn word(name: &str, value: &Value) -> u32 {
    value.as_u64().and_then(|value| u32::try_from(value).ok()).expect(name)
}
