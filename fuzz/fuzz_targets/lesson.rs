//! A lesson's file of a stranger who may seal: its name, and what comes out when it is opened.
#![no_main]

use volet_edge::learn::buffer::is_lesson;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (name, content) = data.split_at(data.len().min(53));
    let name = String::from_utf8_lossy(name);
    is_lesson(&name, content, 2);
    // And under a name that is one, in either part.
    for name in ["lesson-0000000000000001-00000000-00004e20-00001000-lm", "lesson-0000000000000001-00000000-00004e20-00001000-ho"] {
        is_lesson(name, data, 2);
    }
});
