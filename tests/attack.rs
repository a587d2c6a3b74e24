//! Guarantee G3: what is under a mask can't be recognised. The attacker knows the program and holds the very picture
//! that was redacted among others (a stronger position than any real one), and still finds it hardly more often than
//! by guessing. The same attack must succeed against an ordinary mosaic, or it would prove nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use volet_edge::frame::{Color, Geometry, PixelFormat, RawFrame};
use volet_edge::models::BBox;
use volet_edge::redact::{Redactor, Region, Shape, Style};

const SIDE: u32 = 48;

/// Faces of synthetic people, all scaled to SIDE x SIDE.
fn gallery() -> Vec<Vec<u8>> {
    let mut faces = Vec::new();
    for seed in 0..400 {
        let still = volet_synthetic::still(seed, 320, 240);
        for o in &still.objects {
            let [x, y, w, h] = o.bbox.map(|v| v as u32);
            if o.class == volet_synthetic::ObjectClass::Face && !o.ignore && h >= 24 && w >= 18 {
                let crop = image::imageops::crop_imm(&still.image, x, y, w, h).to_image();
                let face = image::imageops::resize(&crop, SIDE, SIDE, image::imageops::FilterType::Triangle);
                faces.push(face.into_raw());
            }
        }
        if faces.len() >= 64 {
            break;
        }
    }
    assert!(faces.len() >= 32, "only {} faces", faces.len());
    faces
}

fn redact(style: Style, face: &[u8]) -> Vec<u8> {
    let geometry = Geometry::new(PixelFormat::Rgb8, SIDE, SIDE).unwrap();
    let frame = RawFrame::new(0, Duration::ZERO, geometry, Color::default(), face.to_vec()).unwrap();
    let side = SIDE as f32;
    let region = Region { bbox: BBox::new(0.0, 0.0, side, side), shape: Shape::Rect, track_id: Some(1) };
    Redactor::new(style).unwrap().redact(frame, &[region]).samples().to_vec()
}

/// What most programs do: cells of 8 x 8 pixels, each its true mean.
fn ordinary_mosaic(face: &[u8]) -> Vec<u8> {
    let mut out = face.to_vec();
    let at = |x: usize, y: usize, c: usize| (y * SIDE as usize + x) * 3 + c;
    for (cy, cx, c) in (0..6).flat_map(|y| (0..6).flat_map(move |x| (0..3).map(move |c| (y * 8, x * 8, c)))) {
        let cell = || (0..8).flat_map(|dy| (0..8).map(move |dx| at(cx + dx, cy + dy, c)));
        let mean = (cell().map(|i| u32::from(face[i])).sum::<u32>() / 64) as u8;
        cell().for_each(|i| out[i] = mean);
    }
    out
}

/// How often the nearest of the gallery, each redacted by the attacker in the same way many times over, is the right one.
fn hit_rate(faces: &[Vec<u8>], hide: impl Fn(&[u8]) -> Vec<u8>) -> f64 {
    let expected: Vec<Vec<f32>> = faces
        .iter()
        .map(|face| {
            let mut mean = vec![0f32; face.len()];
            for _ in 0..24 {
                mean.iter_mut().zip(hide(face)).for_each(|(m, v)| *m += f32::from(v) / 24.0);
            }
            mean
        })
        .collect();
    let hits = faces.iter().enumerate().filter(|(truth, face)| {
        let probe = hide(face);
        let distance = |e: &Vec<f32>| probe.iter().zip(e).map(|(p, e)| (f32::from(*p) - e).powi(2)).sum::<f32>();
        let best = (0..faces.len()).min_by(|&a, &b| distance(&expected[a]).total_cmp(&distance(&expected[b])));
        best == Some(*truth)
    });
    hits.count() as f64 / faces.len() as f64
}

#[test]
fn a_redacted_face_is_not_found_among_known_faces() {
    let faces = gallery();
    let ordinary = hit_rate(&faces, ordinary_mosaic);
    println!("{} faces; found behind an ordinary mosaic: {:.0} %", faces.len(), 100.0 * ordinary);
    assert!(ordinary > 0.9, "the attack itself is too weak: {ordinary}");
    for style in [Style::Solid, Style::Mosaic, Style::Blur] {
        let rate = hit_rate(&faces, |face| redact(style, face));
        println!("found behind {style:?}: {:.0} %", 100.0 * rate);
        // Faces of one rounded colour can't be told apart; there are but a few such colours among people.
        assert!(rate < 0.35, "{style:?}: {rate}");
    }
}
