//! MP4 files from strangers, down to the H.264 decoder.
#![no_main]

use volet_edge::frame::FramePool;
use volet_edge::source::Next;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut film) = volet_edge::source::mp4::Mp4::new(std::io::Cursor::new(data), data.len() as u64) else { return };
    let pool = FramePool::new();
    while let Ok(Next::Frame(_) | Next::Lost { .. }) = film.next_frame(&pool) {}
});
