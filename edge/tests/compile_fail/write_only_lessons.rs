//! Who writes lessons has nothing to read them with.
use volet_edge::learn::buffer::{Entry, Writer};

fn read(writer: &Writer, entry: &Entry) {
    let _ = writer.read(entry);
}

fn main() {}
