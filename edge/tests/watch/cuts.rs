//! The power goes, again and again, at moments that nobody chose: `VOLET_POWER_CUTS` times, and a few where that is not set.
//!
//! A process that is killed loses what it holds and not what it wrote; what a disk loses besides is tried over simulated disks, in
//! `watch::journal`.

use std::collections::BTreeMap;

use crate::camera::{Camera, Place};
use crate::check::{self, Seen};

/// Where random moments come from: splitmix64.
struct Moments(u64);

impl Moments {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[test]
fn whatever_moment_the_power_goes_at_what_is_there_is_whole_and_nothing_is_raw() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let cuts = number("VOLET_POWER_CUTS").unwrap_or(20);
    let seed = number("VOLET_POWER_SEED").unwrap_or(9);
    let mut moments = Moments(seed);
    let (place, feeder) = Place::new();
    let out = place.out();
    feeder.feed(u64::MAX);
    let start = |seconds: &str| Camera::start(place.command(seconds, &["--media-megabytes", "1", "--restarts", "3"]));
    let mut known: BTreeMap<u64, Vec<Seen>> = BTreeMap::new();
    let (mut checked, mut frames, mut covered, mut halves) = (0, 0, 0, 0);
    for cut in 0..cuts {
        let count = feeder.count();
        // Now and then so many starts come to nothing that what follows is covered.
        let camera = start(if cut % 10 < 6 { "1" } else { "3600" });
        // While it starts, or after some frames, and then a little later.
        let more = if moments.below(8) == 0 { 0 } else { moments.below(150) };
        feeder.wait(count + more);
        (0..moments.below(2000)).for_each(|_| std::thread::yield_now());
        camera.kill();
        feeder.renew();
        if !out.exists() {
            continue;
        }
        check::nothing_raw_is_left(&out);
        halves += u64::from(!check::leftovers(&out).is_empty());
        let there = check::numbers(&out);
        known.retain(|number, _| there.contains_key(number));
        for (number, path) in there {
            known.entry(number).or_insert_with(|| {
                let seen = check::segment(&path);
                checked += 1;
                frames += seen.len();
                covered += seen.iter().filter(|seen| **seen == Seen::Covered).count();
                seen
            });
        }
    }
    // And it works as if nothing had been.
    let mut camera = start("1");
    camera.hears("covered=false");
    camera.stop();
    let last = check::segments(&out);
    assert!(known.iter().all(|(number, seen)| last.get(number).is_none_or(|now| now == seen)), "segments changed");
    assert_eq!(check::leftovers(&out), [] as [std::path::PathBuf; 0]);
    println!(
        "{cuts} power cuts (seed {seed}): {checked} segments checked, all whole; {frames} frames, {covered} covered wholly, none raw; \
         {halves} cuts hit a segment in the making"
    );
    assert!(checked > 0 && frames > covered, "nothing was tried");
}
