//! People who move while the shutter is open: they smear, and the place behind them stays sharp.
//! Knows which samples show whom; knows nothing of who they are.

use glam::{Vec2, Vec3};

use crate::math::Rng;
use crate::person::Person;
use crate::raster::{Geometry, SUB, Visibility};

/// How far one person moves, in pixels, while the shutter is open.
#[derive(Clone, Copy)]
pub(crate) struct Hurry {
    owner: u32,
    way: Vec2,
}

/// In few pictures somebody moves too fast: never farther than leaves a face recognisable as one.
pub(crate) fn draw(rng: &mut Rng, people: &[Person]) -> Vec<Hurry> {
    if people.is_empty() || !rng.chance(0.1) {
        return Vec::new();
    }
    let mut hurries: Vec<Hurry> = Vec::new();
    for _ in 0..rng.i(1, 3) {
        let owner = rng.i(0, people.len() as i32 - 1) as u32;
        let length = people[owner as usize].view.unit * rng.log(0.04, 0.28);
        let way = Vec2::new(rng.normal(), 0.4 * rng.normal()).normalize_or(Vec2::X) * length;
        if length > 1.5 && hurries.iter().all(|hurry| hurry.owner != owner) {
            hurries.push(Hurry { owner, way });
        }
    }
    hurries
}

/// Smears one person in `pixels`; `behind` is the picture without anybody.
pub(crate) fn smear(hurry: Hurry, geometry: &Geometry, seen: &Visibility, behind: &[Vec3], pixels: &mut [Vec3]) {
    let (width, height) = (seen.width / SUB, seen.height / SUB);
    let shows = |sample: usize| {
        let triangle = geometry.triangles.get(seen.triangle[sample] as usize);
        triangle.is_some_and(|triangle| geometry.parts[triangle.part as usize].owner == hurry.owner)
    };
    // How much of each pixel the person covers, and where at all.
    let mut cover = vec![0.0_f32; width * height];
    let (mut low, mut high) = ((width, height), (0, 0));
    for (at, cover) in cover.iter_mut().enumerate() {
        let (x, y) = (at % width, at / width);
        let first = y * SUB * seen.width + x * SUB;
        let count = [0, 1, seen.width, seen.width + 1].into_iter().filter(|step| shows(first + step)).count();
        if count > 0 {
            *cover = count as f32 * 0.25;
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
        }
    }
    if low.0 > high.0 {
        return;
    }
    let reach = hurry.way.abs() * 0.5 + 1.0;
    let rows = low.1.saturating_sub(reach.y as usize)..(high.1 + reach.y as usize + 1).min(height);
    let columns = low.0.saturating_sub(reach.x as usize)..(high.0 + reach.x as usize + 1).min(width);
    let steps = (hurry.way.length().ceil() as usize).clamp(3, 24);
    let source = pixels.to_vec();
    for y in rows {
        for x in columns.clone() {
            let (mut sum, mut covered) = (Vec3::ZERO, 0.0);
            for step in 0..steps {
                let p = Vec2::new(x as f32, y as f32) - hurry.way * (step as f32 / (steps - 1) as f32 - 0.5);
                let (sx, sy) = (p.x.round(), p.y.round());
                if sx >= 0.0 && sy >= 0.0 && (sx as usize) < width && (sy as usize) < height {
                    let there = sy as usize * width + sx as usize;
                    sum += source[there] * cover[there];
                    covered += cover[there];
                }
            }
            if covered > 0.0 {
                let at = y * width + x;
                let rest =
                    if cover[at] > 0.0 { behind[at].lerp(source[at], 0.5 * (1.0 - cover[at])) } else { source[at] };
                pixels[at] = sum / steps as f32 + rest * (1.0 - covered / steps as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::material::Material;
    use crate::raster::{Group, Part, Sheet};

    #[test]
    fn a_moving_edge_is_soft_and_the_place_behind_keeps_its_lines() {
        let mut geometry = Geometry::default();
        let material = Material::Skin { colour: Vec3::ONE, shade: 0.0, seed: 0 };
        let part = geometry.part(Part { material, owner: 0, group: Group::Body, unit: 10.0, haze: 0.0 });
        geometry.grid(part, 2, 2, Sheet::Open, |i, j| {
            let p = Vec3::new(20.0 + 20.0 * i as f32, 10.0 + 20.0 * j as f32, 0.0);
            (p, p)
        });
        let seen = Visibility::new(&geometry, 60, 40);
        let behind: Vec<Vec3> = (0..60 * 40).map(|at| Vec3::splat((at % 2) as f32 * 0.1)).collect();
        let mut pixels = behind.clone();
        for y in 10..30 {
            pixels[y * 60 + 20..y * 60 + 40].fill(Vec3::ONE);
        }
        smear(Hurry { owner: 0, way: Vec2::new(8.0, 0.0) }, &geometry, &seen, &behind, &mut pixels);
        let row = &pixels[20 * 60..21 * 60];
        assert!(row[30].x > 0.95 && row[20].x > 0.3 && row[20].x < 0.7 && row[18].x > 0.1, "{row:?}");
        assert!(row[..15] == behind[..15] && row[46..] == behind[46..60], "{row:?}");
    }
}
