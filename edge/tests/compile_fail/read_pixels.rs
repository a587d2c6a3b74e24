//! Nobody outside the crate sees a raw frame's pixels.
fn read(frame: &volet_edge::frame::RawFrame) -> &[u8] {
    frame.pixels()
}

fn main() {}
