//! Y4M streams from strangers.
#![no_main]

use volet_edge::frame::FramePool;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut stream) = volet_edge::source::y4m::Y4m::new(data) else { return };
    let pool = FramePool::new();
    while let Ok(Some(_)) = stream.next_frame(&pool) {}
});
