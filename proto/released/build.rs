//! Compiles the released files as the crate `volet-proto` compiles its own.

use std::error::Error;

const FILES: [&str; 4] = [
    "proto/volet/v1/aggregation.proto",
    "proto/volet/v1/model.proto",
    "proto/volet/v1/round.proto",
    "proto/volet/v1/secagg.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    tonic_prost_build::configure().build_server(false).compile_fds(protox::compile(FILES, ["proto"])?)?;
    Ok(())
}
