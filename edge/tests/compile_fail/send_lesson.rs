//! The way to the aggregator takes no lesson.
fn send(link: &volet_federated::client::Link, round: volet_federated::RoundId, lesson: volet_edge::learn::Lesson) {
    let _ = link.say(round, lesson);
}

fn main() {}
