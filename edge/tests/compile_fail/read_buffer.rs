//! A buffer that a source filled can't be read back once it is a frame.
fn read(buffer: volet_edge::frame::FrameBuffer) -> Vec<u8> {
    buffer.as_slice().to_vec()
}

fn main() {}
