//! Rust types of the contracts, generated without a `protoc` on the machine.
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = ["agent.proto", "launch.proto", "listing.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={}", contracts.join(file).display());
    }
    let descriptors = protox::compile(files, [&contracts])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
