//! Compiles `proto/volet/v1/*.proto` with protox: no protoc is needed.

use std::env;
use std::error::Error;

const ROOT: &str = "proto";
const FILES: [&str; 4] = [
    "proto/volet/v1/aggregation.proto",
    "proto/volet/v1/model.proto",
    "proto/volet/v1/round.proto",
    "proto/volet/v1/secagg.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let descriptors = protox::compile(FILES, [ROOT])?;
    tonic_prost_build::configure()
        .build_client(env::var_os("CARGO_FEATURE_CLIENT").is_some())
        .build_server(env::var_os("CARGO_FEATURE_SERVER").is_some())
        .compile_fds(descriptors)?;
    Ok(())
}
