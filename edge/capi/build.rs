//! How the shared library is linked: a name with the version of the interface, and code that stays in memory.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // The number rises whenever a program that was built against the library before would no longer run with it.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libvolet_camera.so.0");
        // What other crates would export stays within, and goes where nobody calls it.
        println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
        // A search may still end after its camera was closed: `dlclose` must not take the code away under it.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
