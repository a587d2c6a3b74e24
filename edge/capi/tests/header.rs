//! `include/volet.h` is what cbindgen writes from the sources, and C and C++ both take it. `VOLET_WRITE_HEADER=1` writes
//! it anew.

use std::path::Path;
use std::process::Command;

#[test]
fn the_header_is_that_of_the_sources() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config);
    let bindings = builder.with_src(here.join("src/types.rs")).with_src(here.join("src/border.rs")).generate().unwrap();
    let mut written = Vec::new();
    bindings.write(&mut written);
    let path = here.join("include/volet.h");
    if std::env::var_os("VOLET_WRITE_HEADER").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        String::from_utf8(written).unwrap() == kept,
        "include/volet.h is behind its sources: VOLET_WRITE_HEADER=1 cargo test --release --workspace --test header"
    );
}

#[test]
fn c_and_cxx_take_the_header() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("use.c");
    // Twice, since headers are; and a structure of each kind.
    std::fs::write(
        &source,
        "#include <volet.h>\n#include <volet.h>\nint use(VoletCamera *camera);\nint use(VoletCamera *camera)\n{\n\
         const VoletFrame *frame;\nreturn volet_camera_pull(camera, &frame, VOLET_FOREVER) == VOLET_OK\n\
         && frame->format == VOLET_FORMAT_NV12 && sizeof(VoletOptions) && sizeof(VoletPicture);\n}\n",
    )
    .unwrap();
    for (compiler, flags) in [("cc", "-xc -std=c99"), ("cc", "-xc -std=c11"), ("c++", "-xc++ -std=c++11")] {
        let mut command = Command::new(compiler);
        command.args(flags.split(' ')).args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"]);
        match command.arg(&include).arg(&source).output() {
            Ok(done) => assert!(done.status.success(), "{flags}: {}", String::from_utf8_lossy(&done.stderr)),
            Err(_) => println!("skipped  {compiler} {flags}: not installed"),
        }
    }
}
