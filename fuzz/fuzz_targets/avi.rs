//! AVI files from strangers.
#![no_main]

use volet_edge::frame::FramePool;
use volet_edge::source::Next;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut film) = volet_edge::source::avi::Avi::new(data) else { return };
    let pool = FramePool::new();
    while let Ok(Next::Frame(_) | Next::Lost { .. }) = film.next_frame(&pool) {}
});
