//! What must hold of things in the truth: boxes around what is seen of them, drawn faces ignored, nothing else stated.

use super::*;
use crate::head::HAIRLINE;
use crate::raster::{SUB, Visibility};
use crate::{Object, scene};

const SIDE: usize = 240;

/// One thing of each of so many seeds, alone in a picture, with its truth.
fn shown(kind: Kind, size: f32, seeds: u32, check: impl Fn(&Geometry, &Visibility, &[Object])) {
    for seed in 0..seeds {
        let at = Vec3::new(120.0, 130.0, 0.0);
        let stand = Stand { pitch: 0.2, distance: 15.0, yaw: seed as f32 * 0.7, gait: None, deep: 60.0 };
        let mut geometry = Geometry::default();
        let marked = add(&mut geometry, &Prop { at, size, seed, kind, stand }, THINGS + seed);
        let seen = Visibility::new(&geometry, SIDE, SIDE);
        let objects = scene::truth(&geometry, &seen, &[], &[], &marked);
        check(&geometry, &seen, &objects);
    }
}

fn inside([x, y, w, h]: [f32; 4], slack: f32, sample: usize, seen: &Visibility) -> bool {
    let (sx, sy) = ((sample % seen.width) as f32 / SUB as f32, (sample / seen.width) as f32 / SUB as f32);
    sx >= x - slack && sy >= y - slack && sx < x + w + slack && sy < y + h + slack
}

#[test]
fn boxes_bound_the_pixels_of_what_stands_on_the_ground() {
    for (kind, class, size) in [
        (Kind::Vehicle, ObjectClass::Vehicle, 40.0),
        (Kind::Animal, ObjectClass::Animal, 90.0),
        (Kind::Parcel, ObjectClass::Parcel, 150.0),
    ] {
        shown(kind, size, 24, |_, seen, objects| {
            let [object] = objects else { panic!("{kind:?}: {objects:?}") };
            assert_eq!(object.class, class);
            let drawn: Vec<usize> = (0..seen.triangle.len()).filter(|&at| seen.triangle[at] != NONE).collect();
            assert!(drawn.iter().all(|&sample| inside(object.bbox, 0.01, sample, seen)), "{object:?}");
            // And no looser than the pixels.
            let least = drawn.iter().map(|sample| sample % seen.width).min().unwrap_or(0) as f32 / SUB as f32;
            assert!((object.bbox[0] - least).abs() < 1.0, "{object:?} from {least}");
        });
    }
}

#[test]
fn drawn_faces_lie_in_boxes_to_be_ignored() {
    shown(Kind::Effigy, 150.0, 60, |geometry, seen, objects| {
        assert!(objects.iter().all(|object| object.ignore), "{objects:?}");
        for sample in 0..seen.triangle.len() {
            let Some(triangle) = geometry.triangles.get(seen.triangle[sample] as usize) else { continue };
            let face = match &geometry.parts[triangle.part as usize].material {
                Material::Toned { of, .. } => matches!(**of, Material::Face(_)),
                material => matches!(material, Material::Face(_)),
            };
            let local = triangle.corners.map(|corner| geometry.vertices[corner as usize].local);
            if !face || local.iter().any(|p| p.z < 0.12 || !(-0.25..HAIRLINE - 0.05).contains(&p.y)) {
                continue;
            }
            let covered = objects.iter().any(|o| o.class == ObjectClass::Face && inside(o.bbox, 1.0, sample, seen));
            let at = (sample % seen.width / SUB, sample / seen.width / SUB);
            assert!(covered, "a drawn face at {at:?}, {local:?}, outside {objects:?}");
        }
    });
}

#[test]
fn nothing_else_is_stated_of_harmless_things() {
    for kind in [Kind::Small(Place::Anywhere), Kind::Street, Kind::Bush, Kind::Sign(2.0), Kind::Top(3.0)] {
        shown(kind, 80.0, 12, |_, _, objects| assert!(objects.is_empty(), "{kind:?}: {objects:?}"));
    }
}
