//! Compiles `proto/volet/v1/*.proto` with protox: no protoc is needed.

use std::error::Error;

const ROOT: &str = "proto";
const FILES: [&str; 3] = ["proto/volet/v1/model.proto", "proto/volet/v1/round.proto", "proto/volet/v1/secagg.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let descriptors = protox::compile(FILES, [ROOT])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
