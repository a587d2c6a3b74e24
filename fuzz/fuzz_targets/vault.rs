//! A clip's file of a stranger, and what a stranger who may seal has put into one.
#![no_main]

use std::sync::LazyLock;

use volet_edge::vault::{Identity, is_chunk, is_clip};

static OWNER: LazyLock<Identity> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("volet-fuzz-{}", std::process::id()));
    let owner = Identity::make(&path).expect("an identity");
    let _ = std::fs::remove_file(path);
    owner
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    is_chunk(data);
    is_clip(data, &OWNER);
    // And with a header that is this owner's.
    if let Some((_, rest)) = data.split_first_chunk::<40>() {
        let recipient: String = OWNER.recipient().into();
        let owner: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&recipient[2 * at..2 * at + 2], 16).unwrap_or(0)).collect();
        is_clip(&[b"VOLETVT\x01", &owner[..], rest].concat(), &OWNER);
    }
});
