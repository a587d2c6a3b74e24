//! What a confined process is refused, by trying it: this program starts itself anew, free and confined, and the same act
//! has to succeed in the one and to fail in the other. And the camera at work while it is confined.

#![cfg_attr(not(target_os = "linux"), allow(unused))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

#[cfg(target_os = "linux")]
mod acts;
#[cfg(target_os = "linux")]
mod camera;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod trials;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: sandboxes are Linux's");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == child::FLAG) {
        return child::run(&arguments[2..]);
    }
    let trials = trials::all().into_iter().chain(camera::all()).collect();
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}
