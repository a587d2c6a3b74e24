//! A raw frame can't be copied to keep one for later.
fn keep(frame: &volet_edge::frame::RawFrame) -> volet_edge::frame::RawFrame {
    frame.clone()
}

fn main() {}
