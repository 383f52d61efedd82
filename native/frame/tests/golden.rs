//! The wire surface, frozen in files that Rust and TypeScript both read: `test/golden/frames/NAME.bin` holds one frame, and `NAME.json`
//! its type and its message (64-bit numbers and enums as numbers, bytes in base64). `CAISSON_WRITE_GOLDEN=1 cargo test -p caisson-frame`
//! writes the `.bin` files from the `.json` ones; a difference in review is a change of the protocol.
use caisson_frame::{HEADER_BYTES, agent, encode_frame, launch, read_frame};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;
use std::path::{Path, PathBuf};

const FRAME_TYPES: [&str; 5] = [
    "caisson.agent.v1.HostFrame",
    "caisson.agent.v1.AgentFrame",
    "caisson.launch.v1.Request",
    "caisson.launch.v1.Event",
    "caisson.launch.v1.ConvertResult",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn contracts() -> DescriptorPool {
    let files = protox::compile(["agent.proto", "launch.proto"], [root().join("proto")]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// Name, type and message of every golden frame.
fn goldens() -> Vec<(String, String, Value)> {
    let folder = root().join("test/golden/frames");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut value: Value = serde_json::from_str(&text).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, value["type"].as_str().unwrap().to_owned(), value["message"].take())
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

fn read_bin(name: &str) -> Vec<u8> {
    std::fs::read(root().join(format!("test/golden/frames/{name}.bin"))).unwrap()
}

/// The frame as the generated Rust types understand it, encoded again.
fn through_rust(kind: &str, bytes: &[u8]) -> Vec<u8> {
    fn again<T: Message + Default>(mut bytes: &[u8]) -> Vec<u8> {
        encode_frame(&read_frame::<T>(&mut bytes).unwrap().unwrap()).unwrap()
    }
    match kind {
        "caisson.agent.v1.HostFrame" => again::<agent::HostFrame>(bytes),
        "caisson.agent.v1.AgentFrame" => again::<agent::AgentFrame>(bytes),
        "caisson.launch.v1.Request" => again::<launch::Request>(bytes),
        "caisson.launch.v1.Event" => again::<launch::Event>(bytes),
        "caisson.launch.v1.ConvertResult" => again::<launch::ConvertResult>(bytes),
        other => panic!("{other} is no frame"),
    }
}

fn write_bin(pool: &DescriptorPool, name: &str, kind: &str, json: &Value) {
    let message = DynamicMessage::deserialize(pool.get_message_by_name(kind).unwrap(), json.clone()).unwrap();
    let bytes = encode_frame(&message).unwrap();
    std::fs::write(root().join(format!("test/golden/frames/{name}.bin")), bytes).unwrap();
}

#[test]
fn golden_frames_mean_what_their_json_says() {
    let pool = contracts();
    for (name, kind, json) in goldens() {
        if std::env::var_os("CAISSON_WRITE_GOLDEN").is_some() {
            write_bin(&pool, &name, &kind, &json);
        }
        let bytes = read_bin(&name);
        let length = u32::from_be_bytes(*bytes.first_chunk::<HEADER_BYTES>().unwrap()) as usize;
        assert_eq!(length, bytes.len() - HEADER_BYTES, "{name}: header");
        let message = DynamicMessage::decode(pool.get_message_by_name(&kind).unwrap(), &bytes[HEADER_BYTES..]).unwrap();
        let options = SerializeOptions::new()
            .stringify_64_bit_integers(false)
            .use_enum_numbers(true);
        let shown = message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap();
        assert_eq!(shown, json, "{name}: message");
        assert_eq!(through_rust(&kind, &bytes), bytes, "{name}: through the Rust types");
    }
}

#[test]
fn every_kind_of_frame_has_a_golden_file() {
    let pool = contracts();
    let goldens = goldens();
    for kind in FRAME_TYPES {
        for field in pool.get_message_by_name(kind).unwrap().fields() {
            let seen = goldens
                .iter()
                .any(|(_, golden, json)| golden == kind && json.get(field.json_name()).is_some());
            assert!(seen, "no golden frame for {kind}.{}", field.name());
        }
    }
}
