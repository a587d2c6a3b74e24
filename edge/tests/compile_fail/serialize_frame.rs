//! A raw frame can't be serialised.
fn send(frame: &volet_edge::frame::RawFrame) -> Vec<u8> {
    serde_json::to_vec(frame).unwrap()
}

fn main() {}
