//! Concatenated JPEG pictures from strangers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = volet_edge::source::mjpeg::count_frames(data);
});
