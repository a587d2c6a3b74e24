//! A raw frame is nothing that the file system takes.
fn write(frame: &volet_edge::frame::RawFrame) {
    let _ = std::fs::write("film", frame);
}

fn main() {}
