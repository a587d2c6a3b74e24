//! Attacks on what is left under a mask (guarantee G3), each beside an ordinary redaction that it must defeat.
//!
//! `cargo bench --bench attacks [-- --smoke]`: a table, and `attacks.json` and `attacks.md` in the build folder's `tmp`. Ends
//! with code 1 if an attack on Volet succeeds, or one on an ordinary redaction fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod suite;

use std::path::Path;
use std::process::ExitCode;

use suite::{Size, report};

const FULL: Size = Size { people: 128, photographs: 128, films: 48, frames: 8, repeats: 8, guesses: 24, film: 64 };

fn main() -> ExitCode {
    let smoke = std::env::args().any(|a| a == "--smoke");
    let cpu = cpu_time::ProcessTime::now();
    let (rows, skipped) = suite::run(if smoke { &Size::SMALL } else { &FULL });
    print!("{}", report::plain(&rows));
    skipped.iter().for_each(|s| println!("{s}"));
    println!("{} rows in {:.0} s of processor time", rows.len(), cpu.elapsed().as_secs_f64());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(folder.join("attacks.json"), serde_json::to_vec_pretty(&rows).unwrap()).expect("room for the table");
    std::fs::write(folder.join("attacks.md"), report::markdown(&rows)).expect("room for the table");
    println!("written: {0}/attacks.json and {0}/attacks.md", folder.display());
    let wrong = rows.iter().filter(|r| !r.is_as_expected()).count();
    if wrong > 0 {
        eprintln!("{wrong} attacks did not go as they should");
    }
    ExitCode::from(u8::from(wrong > 0))
}
