//! A sink takes no lesson.
fn write(sink: &mut dyn volet_edge::sink::Sink, lesson: &volet_edge::learn::Lesson) {
    let _ = sink.write(lesson);
}

fn main() {}
