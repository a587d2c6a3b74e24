//! Where a lens and a shutter put what a plain pinhole would have put elsewhere: barrel distortion up to fisheyes, and
//! the slant of pictures that are read out row by row while the camera moves.
//!
//! Geometry is bent before anything is rasterised, so that pixels, visibility and truth agree by construction.
//! Knows points and pixels; knows nothing of what they belong to.

use glam::{Vec2, Vec3};

use crate::background::Canvas;
use crate::math::Rng;
use crate::raster::{Geometry, NONE, SUB, Visibility};

/// The widest angle from the axis, in radians, that a lens here sees.
const WIDEST: f32 = 1.45;
/// Nothing is widened more than at 70 degrees.
const MOST_WIDENED: f32 = 3.0;

/// One lens before one picture.
#[derive(Clone)]
pub(crate) struct Lens {
    middle: Vec2,
    /// Half the picture's diagonal in pixels.
    radius: f32,
    /// Tangent of the angle at which the pinhole would see the corner; 0 for a straight lens.
    bend: f32,
    /// What the bent picture is scaled by, so that its middle does not grow without bounds.
    zoom: f32,
    /// Radius in pixels of the circle that the lens lights, if it is smaller than the picture.
    circle: Option<f32>,
    /// Pixels to the right for each pixel down.
    skew: f32,
}

impl Lens {
    pub(crate) fn draw(rng: &mut Rng, width: f32, height: f32) -> Self {
        let size = Vec2::new(width, height);
        let mut lens = Self::bent(size, 0.0);
        match rng.weighted(&[0.66, 0.2, 0.08, 0.06]) {
            0 => {}
            1 => lens = Self::bent(size, rng.f(0.25, 0.9)),
            2 => lens = Self::bent(size, rng.f(0.9, 1.6)),
            _ => {
                lens = Self::bent(size, rng.f(1.6, 3.0));
                lens.zoom = rng.f(1.15, 1.45) * lens.bend.atan() / lens.bend;
                if rng.chance(0.6) {
                    lens.circle = Some(lens.radius * lens.zoom * rng.f(0.9, 1.1));
                }
            }
        }
        // Nobody screws a lens on quite in the middle.
        lens.middle += Vec2::new(rng.normal(), rng.normal()) * 0.01 * height;
        if rng.chance(0.06) {
            lens.skew = rng.normal() * 0.06;
        }
        lens
    }

    /// A lens for pictures of this size whose corner a pinhole sees at an angle with the tangent `bend`.
    pub(crate) fn bent(size: Vec2, bend: f32) -> Self {
        let radius = (0.5 * size.length()).max(1.0);
        Self { middle: size * 0.5, radius, bend, zoom: 1.0, circle: None, skew: 0.0 }
    }

    /// The same before a camera that does not move.
    pub(crate) fn steady(mut self) -> Self {
        self.skew = 0.0;
        self
    }

    fn is_straight(&self) -> bool {
        self.bend <= 0.0 && self.skew == 0.0 && self.circle.is_none()
    }

    /// Where a pinhole's point goes.
    pub(crate) fn place(&self, p: Vec2) -> Vec2 {
        let mut d = p - self.middle;
        if self.bend > 0.0 {
            let r = d.length() / self.radius;
            if r > 1e-5 {
                d *= self.zoom * (r * self.bend).atan() / (self.bend.atan() * r);
            } else {
                d *= self.zoom * self.bend / self.bend.atan();
            }
        }
        d.x += self.skew * d.y;
        self.middle + d
    }

    /// Where a point of the picture comes from, unless the lens sees nothing there.
    fn origin(&self, q: Vec2) -> Option<Vec2> {
        let mut d = q - self.middle;
        d.x -= self.skew * d.y;
        if self.circle.is_some_and(|circle| d.length() > circle) {
            return None;
        }
        if self.bend > 0.0 {
            let r = d.length() / (self.radius * self.zoom);
            let angle = r * self.bend.atan();
            if angle > WIDEST {
                return None;
            }
            d *= if r > 1e-5 { angle.tan() / (self.bend * r) } else { self.bend.atan() / self.bend } / self.zoom;
        }
        Some(self.middle + d)
    }

    /// Bends a whole painted place; beyond its edges it goes on mirrored.
    pub(crate) fn warp(&self, canvas: &mut Canvas) {
        if self.is_straight() {
            return;
        }
        let source = canvas.pixels.clone();
        let (width, height) = (canvas.width, canvas.height);
        let fold = |v: f32, side: usize| {
            let side = side as f32 - 1.0;
            let v = v.rem_euclid(2.0 * side.max(1.0));
            if v > side { 2.0 * side - v } else { v }.clamp(0.0, side)
        };
        for (at, pixel) in canvas.pixels.iter_mut().enumerate() {
            let q = Vec2::new((at % width) as f32 + 0.5, (at / width) as f32 + 0.5);
            let Some(p) = self.origin(q) else {
                *pixel = Vec3::splat(0.002);
                continue;
            };
            let (x, y) = (fold(p.x - 0.5, width), fold(p.y - 0.5, height));
            let (x0, y0) = (x as usize, y as usize);
            let (x1, y1) = ((x0 + 1).min(width - 1), (y0 + 1).min(height - 1));
            let (tx, ty) = (x - x0 as f32, y - y0 as f32);
            let top = source[y0 * width + x0].lerp(source[y0 * width + x1], tx);
            let low = source[y1 * width + x0].lerp(source[y1 * width + x1], tx);
            *pixel = top.lerp(low, ty);
        }
    }

    /// Widens what was drawn straight on around `middle`, away from the axis, as a pinhole sees round things off its axis
    /// (by one over the cosine of their angle). Without it the bending would press people at the rim flat: a fisheye shows
    /// them at .76 of their breadth at 70 degrees, not at .3.
    pub(crate) fn widen(&self, geometry: &mut Geometry, first: usize, middle: Vec2) {
        if self.bend > 0.0 {
            for vertex in &mut geometry.vertices[first..] {
                let q = self.widened(vertex.pos.truncate(), middle);
                vertex.pos = q.extend(vertex.pos.z);
            }
        }
    }

    /// Where [`widen`](Self::widen) puts a point of a thing.
    pub(crate) fn widened(&self, p: Vec2, middle: Vec2) -> Vec2 {
        let away = (middle - self.middle) / self.radius;
        let by = (1.0 + (away.length() * self.bend).powi(2)).sqrt().min(MOST_WIDENED);
        let outwards = away.normalize_or_zero();
        p + outwards * ((p - middle).dot(outwards) * (by - 1.0))
    }

    /// Bends everything that is to be rasterised.
    pub(crate) fn bend(&self, geometry: &mut Geometry) {
        if self.is_straight() {
            return;
        }
        for vertex in &mut geometry.vertices {
            let q = self.place(vertex.pos.truncate());
            vertex.pos = q.extend(vertex.pos.z);
        }
    }

    /// Takes away what lies outside the circle that the lens lights.
    pub(crate) fn mask(&self, seen: &mut Visibility) {
        let Some(circle) = self.circle else { return };
        let width = seen.width;
        for (at, triangle) in seen.triangle.iter_mut().enumerate() {
            let q = Vec2::new((at % width) as f32 + 0.5, (at / width) as f32 + 0.5) / SUB as f32 - self.middle;
            if Vec2::new(q.x - self.skew * q.y, q.y).length_squared() > circle * circle {
                *triangle = NONE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_where_one_was() {
        let size = Vec2::new(640.0, 384.0);
        for seed in 0..60 {
            let lens = Lens::draw(&mut Rng::new(seed), size.x, size.y);
            for at in [Vec2::new(300.0, 200.0), Vec2::new(20.0, 30.0), Vec2::new(630.0, 200.0), lens.middle] {
                if let Some(back) = lens.origin(lens.place(at)) {
                    assert!(back.distance(at) < 0.1, "seed {seed}: {at} became {back}");
                }
            }
        }
    }

    /// A ball far off the axis of an equidistant lens is pressed to sin(angle)/angle of its breadth, no flatter.
    #[test]
    fn a_ball_at_the_rim_stays_nearly_round() {
        let lens = Lens::bent(Vec2::new(640.0, 384.0), 2.0);
        let middle = Vec2::new(620.0, 192.0);
        let bent = |by: Vec2| lens.place(lens.widened(middle + by, middle));
        let broad = bent(Vec2::X).distance(bent(-Vec2::X));
        let tall = bent(Vec2::Y).distance(bent(-Vec2::Y));
        let angle = (300.0 / lens.radius * 2.0).atan();
        assert!((broad / tall - angle.sin() / angle).abs() < 0.01, "{broad} {tall}");
    }

    #[test]
    fn straight_lines_bow_outwards_and_corners_stay() {
        let size = Vec2::new(640.0, 384.0);
        let lens = Lens::bent(size, 1.2);
        assert!(lens.place(Vec2::ZERO).distance(Vec2::ZERO) < 0.1);
        let (corner, middle) = (lens.place(Vec2::new(0.0, 40.0)), lens.place(Vec2::new(320.0, 40.0)));
        assert!(middle.y < corner.y - 10.0, "{middle} {corner}");
        let straight = Lens::bent(size, 0.0);
        assert_eq!(straight.place(Vec2::new(3.0, 4.0)), Vec2::new(3.0, 4.0));
    }
}
