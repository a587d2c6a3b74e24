//! Nobody outside the crate reads a lesson out of a buffer.
use volet_edge::learn::buffer::{Buffer, Entry};

fn read(buffer: &Buffer, entry: &Entry) {
    let _ = buffer.read(entry);
}

fn main() {}
