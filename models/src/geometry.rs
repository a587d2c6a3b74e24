//! Boxes, classes and detections: the nouns that every other part of Volet shares.
//!
//! Knows nothing of networks or pictures. All lengths are pixels of whatever picture the caller speaks
//! of; the origin is the top-left corner of the top-left pixel.

use serde::{Deserialize, Serialize};

/// An axis-aligned box: left, top, width, height, in pixels. It may reach beyond the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, >= 0.
    pub w: f32,
    /// Height, >= 0.
    pub h: f32,
}

impl BBox {
    /// A box from its left, top, width and height.
    pub const fn new(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x, y, w, h }
    }

    /// A box from two corners.
    pub fn from_corners(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self::new(x0, y0, x1 - x0, y1 - y0)
    }

    /// Right edge.
    pub fn right(&self) -> f32 {
        self.x + self.w
    }

    /// Bottom edge.
    pub fn bottom(&self) -> f32 {
        self.y + self.h
    }

    /// Centre, `(x, y)`.
    pub fn center(&self) -> (f32, f32) {
        (self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.w * self.h
    }

    /// Whether every coordinate is finite and the box encloses something.
    pub fn is_valid(&self) -> bool {
        [self.x, self.y, self.w, self.h].iter().all(|v| v.is_finite()) && self.w > 0.0 && self.h > 0.0
    }

    /// The same centre, each side `factor` times as long.
    #[must_use]
    pub fn scaled(&self, factor: f32) -> Self {
        let (cx, cy) = self.center();
        let (w, h) = (self.w * factor, self.h * factor);
        Self::new(cx - w / 2.0, cy - h / 2.0, w, h)
    }

    /// The part inside a `width` x `height` picture; `None` where nothing is left.
    pub fn clipped(&self, width: u32, height: u32) -> Option<Self> {
        let x0 = self.x.max(0.0);
        let y0 = self.y.max(0.0);
        let x1 = self.right().min(width as f32);
        let y1 = self.bottom().min(height as f32);
        let clipped = Self::from_corners(x0, y0, x1, y1);
        clipped.is_valid().then_some(clipped)
    }

    /// The smallest box round both.
    pub fn union(&self, other: &Self) -> Self {
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self::from_corners(self.x.min(other.x), self.y.min(other.y), right, bottom)
    }

    /// Area shared with `other`, in square pixels.
    pub fn intersection(&self, other: &Self) -> f32 {
        let w = self.right().min(other.right()) - self.x.max(other.x);
        let h = self.bottom().min(other.bottom()) - self.y.max(other.y);
        w.max(0.0) * h.max(0.0)
    }

    /// Intersection over union, in `[0, 1]`.
    pub fn iou(&self, other: &Self) -> f32 {
        let i = self.intersection(other);
        let u = self.area() + other.area() - i;
        if u > 0.0 { i / u } else { 0.0 }
    }
}

/// What a detector can find. The names are those of the annotation files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectClass {
    /// A human face: hairline to chin, ear to ear.
    Face,
    /// A whole person.
    Person,
    /// A car, lorry, bicycle, motorcycle.
    Vehicle,
    /// An animal.
    Animal,
    /// A parcel.
    Parcel,
    /// A licence plate.
    Plate,
}

impl ObjectClass {
    /// Every class, in the order of their category ids.
    pub const ALL: [Self; 6] = [Self::Face, Self::Person, Self::Vehicle, Self::Animal, Self::Parcel, Self::Plate];

    /// The class's name in annotation files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Person => "person",
            Self::Vehicle => "vehicle",
            Self::Animal => "animal",
            Self::Parcel => "parcel",
            Self::Plate => "plate",
        }
    }

    /// The COCO category id that Volet's own files give the class (from 1).
    pub const fn category_id(self) -> u32 {
        self as u32 + 1
    }
}

impl std::fmt::Display for ObjectClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for ObjectClass {
    type Err = UnknownClass;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|c| c.name() == s).ok_or_else(|| UnknownClass(s.to_owned()))
    }
}

/// A class name that Volet does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown class {0:?}; known are face, person, vehicle, animal, parcel, plate")]
pub struct UnknownClass(String);

/// One thing found in one picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// What it is.
    pub class: ObjectClass,
    /// Where it is, in pixels of the picture.
    pub bbox: BBox,
    /// How sure the network is, in `[0, 1]`.
    pub score: f32,
}

/// Greedy non-maximum suppression per class: keeps the best-scored box of every group whose members
/// overlap it by more than `iou`; the result is sorted by descending score, ties by position in the input.
pub fn non_maximum_suppression(mut found: Vec<Detection>, iou: f32) -> Vec<Detection> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::with_capacity(found.len().min(256));
    for d in found {
        if kept.iter().all(|k| k.class != d.class || k.bbox.iou(&d.bbox) <= iou) {
            kept.push(d);
        }
    }
    kept
}

/// Joins the boxes of near persons: those whose longer side is at least `from` pixels and that share half of the smaller
/// one become one box round both, with the better score. A network that sees less far than a near person is tall finds it
/// in parts. The result is sorted by descending score.
pub(crate) fn join_parts(found: Vec<Detection>, from: f32) -> Vec<Detection> {
    let near = |d: &Detection| d.class == ObjectClass::Person && d.bbox.w.max(d.bbox.h) >= from;
    let (mut parts, mut others): (Vec<_>, Vec<_>) = found.into_iter().partition(near);
    parts.reverse();
    while let Some(mut whole) = parts.pop() {
        let mut last = usize::MAX;
        // What has grown is compared again with all that is left.
        while last != parts.len() {
            last = parts.len();
            parts.retain(|part| {
                let shared = whole.bbox.intersection(&part.bbox);
                let apart = shared < 0.5 * whole.bbox.area().min(part.bbox.area());
                if !apart {
                    whole.bbox = whole.bbox.union(&part.bbox);
                }
                apart
            });
        }
        others.push(whole);
    }
    others.sort_by(|a, b| b.score.total_cmp(&a.score));
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_near_person_become_one_and_far_ones_stay() {
        let person = |x, y, w, h, score| Detection { class: ObjectClass::Person, bbox: BBox::new(x, y, w, h), score };
        let face = Detection { class: ObjectClass::Face, bbox: BBox::new(10.0, 10.0, 250.0, 250.0), score: 0.9 };
        // The third meets the first only through the second.
        let parts = [person(0.0, 0.0, 200.0, 220.0, 0.8), person(0.0, 100.0, 200.0, 220.0, 0.7)];
        let third = person(0.0, 190.0, 200.0, 210.0, 0.6);
        let far = [person(20.0, 20.0, 50.0, 100.0, 0.5), person(25.0, 22.0, 50.0, 100.0, 0.4)];
        let beside = person(150.0, 0.0, 190.0, 380.0, 0.3);
        let found = vec![face, parts[0], parts[1], third, far[0], far[1], beside];
        let joined = join_parts(found, 192.0);
        assert_eq!(joined, [face, person(0.0, 0.0, 200.0, 400.0, 0.8), far[0], far[1], beside]);
    }
}
