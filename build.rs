//! Writes down which compiler builds the program, and in which profile: `volet bench` says both beside what it measured.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let out = std::process::Command::new(rustc).arg("--version").output();
    let version = out.map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    println!("cargo::rustc-env=VOLET_RUSTC={}", if version.is_empty() { "unknown" } else { &version });
    // `PROFILE` knows no profile of our own: its name is that of the folder above `build`.
    let folder = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let above = folder.ancestors().skip_while(|folder| !folder.ends_with("build")).nth(1);
    let profile = above.and_then(|folder| folder.file_name()).map(|name| name.to_string_lossy().into_owned());
    println!("cargo::rustc-env=VOLET_PROFILE={}", profile.unwrap_or_else(|| "unknown".to_owned()));
}
