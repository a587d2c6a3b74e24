//! The hot kernels, timed by divan: `cargo bench --bench kernels [-- NAME]`. `volet bench kernels` counts their instructions.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../src/bench/kernels.rs"]
mod kernels;

use kernels::KERNELS;

fn main() {
    for kernel in KERNELS {
        println!("{:<14} {}", kernel.name, kernel.does);
        assert!(kernel.count > 0 && kernel.random == (kernel.name == "noise") && kernels::entry().bytes > 0);
    }
    divan::main();
}

#[divan::bench(args = KERNELS.map(|kernel| kernel.name))]
fn kernel(bencher: divan::Bencher<'_, '_>, name: &str) {
    let kernel = KERNELS.iter().find(|kernel| kernel.name == name).expect("one of them");
    let mut once = (kernel.set_up)().expect("it can be set up");
    bencher.bench_local(move || once().expect("it runs"));
}
