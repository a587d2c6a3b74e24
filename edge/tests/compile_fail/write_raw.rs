//! A sink takes no raw frame.
fn write(sink: &mut dyn volet_edge::sink::Sink, frame: &volet_edge::frame::RawFrame) {
    let _ = sink.write(frame);
}

fn main() {}
