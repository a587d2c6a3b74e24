//! What training and benchmarks rely on: the same seed gives the same picture, and the truth is true of it.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use volet_synthetic::{Clip, Conditions, Generator, LightKind, Object, ObjectClass, SIDES, Still, still};

/// Track ids of things start here.
const THINGS: u32 = 1 << 25;

fn check(made: &Still) {
    let (width, height) = (made.image.width() as f32, made.image.height() as f32);
    let mut tracks = HashSet::new();
    for object in &made.objects {
        let [x, y, w, h] = object.bbox;
        assert!(x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0, "{object:?}");
        assert!(x + w <= width + 0.01 && y + h <= height + 0.01, "{object:?} beyond {width}x{height}");
        assert!((0.0..=1.0).contains(&object.visible), "{object:?}");
        assert!(tracks.insert(object.track_id), "track {} twice in one picture", object.track_id);
        if object.class == ObjectClass::Face && !object.ignore {
            assert!(object.visible >= 0.3 && w.min(h) >= 5.0, "{object:?}");
        }
    }
}

fn faces(made: &Still) -> impl Iterator<Item = &Object> {
    made.objects.iter().filter(|object| object.class == ObjectClass::Face && !object.ignore)
}

#[test]
fn the_same_seed_gives_the_same_picture_from_any_thread() {
    let here: Vec<Still> = (0..4).map(|seed| still(seed, 160, 96)).collect();
    let threads: Vec<_> = (0..4).map(|seed| std::thread::spawn(move || still(seed, 160, 96))).collect();
    for (first, second) in here.iter().zip(threads) {
        let second = second.join().unwrap();
        assert_eq!(first.image, second.image);
        assert_eq!(first.objects, second.objects);
    }
    assert_ne!(here[0].image, here[1].image);
}

#[test]
fn every_picture_has_its_size_and_boxes_inside() {
    for (seed, (width, height)) in [(320, 192), (64, 400), (400, 64), (97, 61)].into_iter().cycle().take(40).enumerate()
    {
        let made = still(seed as u64, width, height);
        assert_eq!(made.image.dimensions(), (width, height));
        check(&made);
    }
}

#[test]
fn absurd_sizes_are_brought_into_range() {
    assert_eq!(still(1, 0, 1).image.dimensions(), (*SIDES.start(), *SIDES.start()));
    assert_eq!(still(1, u32::MAX, 0).image.dimensions(), (*SIDES.end(), *SIDES.start()));
}

#[test]
fn pictures_cover_all_sizes_and_some_have_no_face() {
    let mut buckets = [0_u32; 4];
    let mut without = 0;
    let count = 150;
    for seed in 1000..1000 + count {
        let made = still(seed, 320, 192);
        without += u32::from(faces(&made).next().is_none());
        for face in faces(&made) {
            let bucket = [12.0, 24.0, 48.0].iter().filter(|&&limit| face.bbox[3] >= limit).count();
            buckets[bucket] += 1;
        }
    }
    println!("faces under 12, 24, 48 px and above: {buckets:?}; pictures without: {without} of {count}");
    assert!(buckets.iter().all(|&bucket| bucket >= 20), "{buckets:?}");
    assert!((10..75).contains(&without), "{without}");
}

/// Faces are shaped like faces, and lie inside or near the person they belong to.
#[test]
fn a_face_belongs_to_a_person() {
    for seed in 0..60 {
        let made = still(seed, 320, 192);
        let people: HashMap<u32, &Object> =
            made.objects.iter().filter(|o| o.class == ObjectClass::Person).map(|o| (o.track_id, o)).collect();
        for face in faces(&made) {
            let person = people.get(&(face.track_id - 1)).unwrap_or_else(|| panic!("face without a person: {face:?}"));
            let ([x, y, w, h], [px, py, pw, ph]) = (face.bbox, person.bbox);
            let width = (x + w).min(px + pw) - x.max(px);
            let height = (y + h).min(py + ph) - y.max(py);
            assert!(width > 0.25 * w && height > 0.25 * h, "seed {seed}: {face:?} outside {person:?}");
            let cut = x < 1.0 || y < 1.0 || x + w > 319.0 || y + h > 191.0;
            assert!(cut || (0.35..1.6).contains(&(w / h)), "seed {seed}: {face:?}");
        }
    }
}

#[test]
fn a_clip_keeps_its_tracks_and_gives_frames_in_any_order() {
    let clip = Clip::new(3, 320, 192, 10, 60);
    assert_eq!(clip.len(), 60);
    let late = clip.frame(40);
    let mut before: HashMap<u32, [f32; 4]> = HashMap::new();
    let mut seen = HashSet::new();
    for index in 0..clip.len() {
        let made = clip.frame(index);
        check(&made);
        if index == 40 {
            assert_eq!(made.image, late.image);
        }
        let mut now = HashMap::new();
        for face in faces(&made) {
            seen.insert(face.track_id);
            if let Some(last) = before.get(&face.track_id) {
                let moved = (face.bbox[0] + face.bbox[2] * 0.5) - (last[0] + last[2] * 0.5);
                assert!(moved.abs() < 2.0 * face.bbox[2].max(last[2]) + 4.0, "frame {index}: {face:?} from {last:?}");
            }
            now.insert(face.track_id, face.bbox);
        }
        before = now;
    }
    assert!(seen.len() >= 2, "{seen:?}");
}

/// The share of each class, so that a change of habits is seen; none may be missing, and what is drawn is ignored.
#[test]
fn every_class_occurs_and_drawn_faces_are_ignored() {
    let mut counts: HashMap<ObjectClass, [u32; 2]> = HashMap::new();
    for seed in 0..200 {
        let made = still(seed, 320, 192);
        check(&made);
        let people = made.objects.iter().any(|o| o.class == ObjectClass::Person && o.track_id < THINGS);
        for object in &made.objects {
            counts.entry(object.class).or_default()[usize::from(object.ignore)] += 1;
            match object.class {
                ObjectClass::Vehicle | ObjectClass::Animal | ObjectClass::Parcel => assert!(object.track_id >= THINGS),
                _ if object.track_id >= THINGS => assert!(object.ignore, "seed {seed}: {object:?}"),
                _ => assert!(people),
            }
        }
    }
    println!("in 200 pictures, learnt and ignored: {counts:?}");
    for class in [ObjectClass::Vehicle, ObjectClass::Animal, ObjectClass::Parcel] {
        assert!(counts.get(&class).is_some_and(|[learnt, _]| *learnt >= 10), "{class:?}: {counts:?}");
    }
}

#[test]
fn parked_things_keep_their_place_in_a_clip() {
    let mut found = 0;
    for seed in 0..24 {
        let clip = Clip::new(seed, 160, 96, 5, 10);
        let things = |index: u32| -> HashMap<u32, Object> {
            let made = clip.frame(index);
            made.objects.into_iter().filter(|o| o.class == ObjectClass::Vehicle).map(|o| (o.track_id, o)).collect()
        };
        let (early, late) = (things(0), things(9));
        for (track, object) in &early {
            let Some(later) = late.get(track) else { continue };
            // People who pass hide a part of it, but never move it.
            let ([x, y, w, h], [lx, ly, lw, lh]) = (object.bbox, later.bbox);
            let same = [(x, lx), (y, ly), (x + w, lx + lw), (y + h, ly + lh)].iter().filter(|(a, b)| a == b).count();
            assert!(same >= 2 || object.visible.min(later.visible) < 0.5, "seed {seed}: {object:?} {later:?}");
            found += usize::from(same >= 2);
        }
    }
    assert!(found >= 3, "{found}");
}

#[test]
fn a_clip_without_frames_or_rate_is_harmless() {
    let clip = Clip::new(1, 64, 64, 0, 0);
    assert!(clip.is_empty());
    check(&clip.frame(u32::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_seed_and_shape_renders(seed in any::<u64>(), width in 0_u32..300, height in 0_u32..300) {
        check(&still(seed, width, height));
    }
}

#[test]
fn a_night_watch_stands_high_at_night_and_other_cameras_anywhere() {
    let seen = |conditions: &Conditions| {
        let still = |seed| Clip::with(&Generator::default(), conditions, seed, 160, 96, 5, 10).frame(4);
        (0..24).map(still).collect::<Vec<Still>>()
    };
    // How far down people look, or are looked at from: the median over all faces, degrees.
    let tilt = |stills: &[Still]| {
        let pitches = stills.iter().flat_map(|still| &still.objects).filter(|o| o.class == ObjectClass::Face);
        let mut pitches: Vec<f32> = pitches.filter_map(|o| o.attributes.as_ref().map(|a| a.pitch.abs())).collect();
        pitches.sort_by(f32::total_cmp);
        assert!(pitches.len() > 20, "{}", pitches.len());
        pitches[pitches.len() / 2]
    };
    let (watch, any) = (seen(&Conditions::night_watch()), seen(&Conditions::default()));
    let dark = |still: &Still| matches!(still.light, LightKind::Night | LightKind::Infrared);
    assert!(watch.iter().all(dark) && !any.iter().all(dark));
    assert!(watch.iter().any(|s| s.light == LightKind::Night) && watch.iter().any(|s| s.light == LightKind::Infrared));
    assert!(tilt(&watch) > 25.0 && tilt(&any) < 20.0, "{} {}", tilt(&watch), tilt(&any));
}
