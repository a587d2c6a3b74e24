//! Only the redactor makes redacted frames.
fn forge(frame: volet_edge::frame::RawFrame) -> volet_edge::redact::Redacted {
    volet_edge::redact::Redacted { frame, covered_pixels: 0, regions: Vec::new(), reason: None }
}

fn main() {}
