//! What must hold of whole scenes: lights, lenses and weather with the truth.

use super::*;
use crate::light::LightKind;
use crate::material::Material;

#[test]
fn every_light_occurs_and_infrared_is_grey() {
    let mut seen = std::collections::HashMap::new();
    for seed in 0..250 {
        let scene = Scene::draw(&Generator::default(), seed, 64, 48);
        *seen.entry(scene.light.kind()).or_insert(0) += 1;
        if scene.light.kind() == LightKind::Infrared {
            let image = scene.render().image;
            assert!(image.pixels().all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2]), "seed {seed}");
        }
    }
    assert!(seen.len() == 8 && seen.values().all(|count| *count >= 4), "{seen:?}");
}

/// Bounds of the samples that show one of some triangles, in pixels.
fn shown(seen: &Visibility, of: impl Fn(u32) -> bool) -> [f32; 4] {
    let mut bounds = Bounds::default();
    for (at, _) in seen.triangle.iter().enumerate().filter(|(_, triangle)| of(**triangle)) {
        let sample = Vec2::new((at % seen.width) as f32, (at / seen.width) as f32);
        bounds.add(sample / SUB as f32);
        bounds.add((sample + 1.0) / SUB as f32);
    }
    bounds.clipped(1e6, 1e6).unwrap()
}

#[test]
fn boxes_stay_on_the_person_through_the_lens() {
    let size = Vec2::new(320.0, 200.0);
    let mut rng = Rng::new(5);
    let habits = Habits::draw(&mut rng);
    let (mut look, mut pose) = (Look::draw(&mut rng, &habits), Pose::draw(&mut rng, 1.0));
    look.hat = crate::Hat::None;
    look.hair = crate::Hair::None;
    (pose.head_yaw, pose.head_pitch, pose.head_roll) = (0.1, 0.0, 0.0);
    for at in [Vec2::new(60.0, 50.0), Vec2::new(270.0, 60.0), Vec2::new(160.0, 40.0)] {
        let view = View::new(at.extend(0.0), 18.0, 0.0, 20.0);
        let person = Person { look: look.clone(), pose: pose.clone(), view, haze: 0.0 };
        let boxes = |bend: f32| {
            let mut geometry = Geometry::default();
            let built = vec![body::build(&mut geometry, &person, 0)];
            Lens::bent(size, bend).bend(&mut geometry);
            let seen = Visibility::new(&geometry, 320, 200);
            let objects = truth(&geometry, &seen, std::slice::from_ref(&person), &built, &[]);
            let of = |class| objects.iter().find(|object| object.class == class).unwrap().bbox;
            let (face, whole) = (of(ObjectClass::Face), of(ObjectClass::Person));
            let pixels = shown(&seen, |triangle| triangle != NONE);
            for (stated, found) in whole.into_iter().zip(pixels) {
                assert!((stated - found).abs() < 1.0, "{whole:?} {pixels:?}");
            }
            let pixels = shown(&seen, |triangle| {
                let Some(triangle) = geometry.triangles.get(triangle as usize) else { return false };
                let skin = matches!(geometry.parts[triangle.part as usize].material, Material::Face(_));
                let inside = |corner: &u32| {
                    let p = geometry.vertices[*corner as usize].local;
                    p.y < crate::head::HAIRLINE && p.z > 0.05
                };
                skin && triangle.corners.iter().all(inside)
            });
            for axis in 0..2 {
                let (low, high) = (face[axis], face[axis] + face[axis + 2]);
                let (from, to) = (pixels[axis], pixels[axis] + pixels[axis + 2]);
                assert!(from > low - 1.0 && to < high + 1.0, "{face:?} {pixels:?}");
                assert!(to - from > 0.75 * (high - low), "{face:?} {pixels:?}");
            }
            face
        };
        let (straight, bent) = (boxes(0.0), boxes(1.2));
        let moved = straight.iter().zip(bent).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(moved > 2.0, "{straight:?} {bent:?}");
    }
}

#[test]
fn what_falls_moves_between_frames_and_glass_does_not() {
    for seed in 0..150 {
        let scene = Scene::draw(&Generator::default(), seed, 64, 48);
        let flat = |frame| {
            let mut pixels = vec![Vec3::splat(0.2); 64 * 48];
            scene.weather.apply(&mut pixels, 64, 48, frame);
            pixels
        };
        let (first, again, later) = (flat(1), flat(1), flat(2));
        assert!(first == again, "seed {seed}");
        assert_eq!(first != later, scene.weather.falls(), "seed {seed}");
    }
}

#[test]
fn a_face_has_the_shape_of_its_box_at_every_size() {
    let mut rng = Rng::new(6);
    let habits = Habits::draw(&mut rng);
    let (look, mut pose) = (Look::draw(&mut rng, &habits), Pose::draw(&mut rng, 1.0));
    (pose.head_yaw, pose.head_pitch, pose.head_roll) = (0.0, 0.0, 0.0);
    let shape = |unit: f32| {
        let view = View::new(Vec3::new(300.0, 300.0, 0.0), unit, 0.0, 20.0);
        let person = Person { look: look.clone(), pose: pose.clone(), view, haze: 0.0 };
        let mut geometry = Geometry::default();
        let built = vec![body::build(&mut geometry, &person, 0)];
        let seen = Visibility::new(&geometry, 600, 600);
        let objects = truth(&geometry, &seen, std::slice::from_ref(&person), &built, &[]);
        let [_, y, w, h] = objects.iter().find(|o| o.class == ObjectClass::Face).unwrap().bbox;
        ((300.0 - y) / unit, w / h, h / unit)
    };
    let large = shape(200.0);
    assert!((0.27..0.34).contains(&large.0) && (0.7..0.95).contains(&large.1), "{large:?}");
    for unit in [8.0, 11.0, 17.0, 23.0, 28.0, 30.0, 36.0, 44.0, 80.0] {
        let small = shape(unit);
        let near = |a: f32, b: f32| (a / b - 1.0).abs() < 0.02;
        assert!(
            near(small.0, large.0) && near(small.1, large.1) && near(small.2, large.2),
            "{unit}: {small:?} {large:?}"
        );
    }
}
