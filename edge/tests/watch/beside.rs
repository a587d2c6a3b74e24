//! What goes on beside the segments: film that is kept for its owner, and lessons.

use crate::camera::Place;
use crate::check;

#[cfg(all(feature = "vault", feature = "agent"))]
#[test]
fn film_is_kept_for_its_owner_over_every_segment_and_every_restart() {
    let (place, feeder) = Place::new();
    place.said(&["vault", "init", "--dir", "vault", "--owner-identity-out", "identity"]);
    place.said(&["buffer", "init", "--dir", "lessons", "--owner-identity-out", "lessons.identity"]);
    feeder.feed(u64::MAX);
    let keep = ["--keep", "vault", "--keep-clip-seconds", "2", "--lessons", "lessons", "--lesson-every", "1"];
    let mut segments = 0;
    for start in 1..=2 {
        let mut camera = place.start(&keep);
        camera.makes(3);
        camera.stop();
        // No raw sample is in any segment; the vault has all of them.
        let frames = check::segments(&place.out()).into_values().map(|frames| frames.len()).sum::<usize>();
        assert!(frames > segments);
        segments = frames;
        let opened = format!("opened-{start}");
        place.said(&["vault", "open", "--dir", "vault", "--identity", "identity", "--out", &opened]);
        let films: Vec<u64> = std::fs::read_dir(place.path(&opened))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert!(films.len() >= 2 * start && films.iter().all(|bytes| *bytes > 1000), "{films:?}");
    }
    let status = place.said(&["vault", "status", "--dir", "vault", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert!(status["clips"].as_u64().unwrap() >= 4, "{status}");
    place.said(&["buffer", "status", "--dir", "lessons", "--json"]);
}
