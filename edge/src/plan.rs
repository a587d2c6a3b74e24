//! The plan of a frame: from what was found to what is written down and what is covered.
//!
//! Pure: boxes in, boxes out. The policy of covering lives here and nowhere else.

use serde::{Deserialize, Serialize};
use volet_models::{BBox, ObjectClass};

use crate::annotate::Annotated;
use crate::frame::Geometry;
use crate::redact::{Region, Shape, Style};
use crate::track::TrackedBox;

/// What is covered, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedactionConfig {
    /// What is put in place of a region.
    pub style: Style,
    /// The outline of what is covered of a box.
    pub shape: Shape,
    /// How much larger than the box the region is, per side; at least 1.
    pub scale: f32,
    /// The classes that are covered.
    pub classes: Vec<ObjectClass>,
    /// Fixed zones that are always covered: left, top, width, height as shares (0 to 1) of the frame's sides.
    pub zones: Vec<[f32; 4]>,
    /// Also cover whatever moves, unless it lies within something of a harmless class.
    pub paranoid: bool,
    /// The classes that may move uncovered in paranoid mode.
    pub harmless: Vec<ObjectClass>,
}

impl Default for RedactionConfig {
    fn default() -> Self {
        Self {
            style: Style::default(),
            shape: Shape::default(),
            scale: 1.4,
            classes: vec![ObjectClass::Face],
            zones: Vec::new(),
            paranoid: false,
            harmless: vec![ObjectClass::Vehicle, ObjectClass::Animal, ObjectClass::Parcel],
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
pub enum ConfigError {
    #[error("the mask scale is {0}; it must lie between 1 and 10")]
    Scale(f32),
    #[error("zone {0:?} must be four shares of the frame's sides: left, top, width, height, each from 0 to 1")]
    Zone([f32; 4]),
    #[error("no class is to be covered and there is no zone: nothing would be redacted; name at least one")]
    Nothing,
    #[error("{field} is {value}; it must lie between {low} and {high}")]
    Range { field: &'static str, value: f64, low: f64, high: f64 },
}

impl RedactionConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(1.0..=10.0).contains(&self.scale) {
            return Err(ConfigError::Scale(self.scale));
        }
        let share = |v: &f32| (0.0..=1.0).contains(v);
        if let Some(zone) = self.zones.iter().find(|z| !z.iter().all(share) || z[2] == 0.0 || z[3] == 0.0) {
            return Err(ConfigError::Zone(*zone));
        }
        if self.classes.is_empty() && self.zones.is_empty() && !self.paranoid {
            return Err(ConfigError::Nothing);
        }
        Ok(())
    }

    /// The regions to destroy in a frame with these tracks and this motion.
    pub fn regions<'a>(
        &'a self,
        geometry: Geometry,
        tracks: &'a [TrackedBox],
        moving: &'a [BBox],
    ) -> impl Iterator<Item = Region> + 'a {
        let (width, height) = (geometry.width() as f32, geometry.height() as f32);
        let of_tracks = tracks.iter().filter(|t| self.classes.contains(&t.class)).map(|t| Region {
            bbox: t.bbox.scaled(self.scale * t.uncertainty),
            shape: self.shape,
            track_id: Some(t.track_id),
        });
        let rect = |bbox| Region { bbox, shape: Shape::Rect, track_id: None };
        let zones =
            self.zones.iter().map(move |z| rect(BBox::new(z[0] * width, z[1] * height, z[2] * width, z[3] * height)));
        let unknown =
            moving.iter().filter(move |m| self.paranoid && !self.is_harmless(m, tracks)).map(move |m| rect(*m));
        // What lies wholly outside has nothing to destroy.
        of_tracks
            .chain(zones)
            .chain(unknown)
            .filter(move |r| r.bbox.clipped(geometry.width(), geometry.height()).is_some())
    }

    fn is_harmless(&self, moving: &BBox, tracks: &[TrackedBox]) -> bool {
        tracks.iter().any(|t| self.harmless.contains(&t.class) && t.bbox.intersection(moving) >= 0.9 * moving.area())
    }
}

/// What is written down of the tracks in a frame: boxes clipped to it, those outside and doubtful tracks left out.
pub fn objects(geometry: Geometry, tracks: &[TrackedBox], with_ids: bool) -> impl Iterator<Item = Annotated> + '_ {
    tracks.iter().filter(|t| t.sure).filter_map(move |t| {
        let bbox = t.bbox.clipped(geometry.width(), geometry.height())?;
        let track_id = with_ids.then_some(t.track_id);
        Some(Annotated { class: t.class, bbox, score: t.score, track_id, origin: t.origin })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;
    use crate::track::Origin;

    fn tracked(class: ObjectClass, bbox: BBox) -> TrackedBox {
        TrackedBox {
            track_id: 3,
            class,
            bbox,
            uncertainty: 1.0,
            score: 0.9,
            origin: Origin::Detected,
            sure: true,
            hits: 4,
            mean_score: 0.9,
        }
    }

    #[test]
    fn a_face_half_outside_is_covered_and_one_wholly_outside_is_not_written() {
        let g = Geometry::new(PixelFormat::Nv12, 100, 100).unwrap();
        let config = RedactionConfig::default();
        let out = [
            tracked(ObjectClass::Face, BBox::new(-10.0, 40.0, 20.0, 20.0)),
            tracked(ObjectClass::Face, BBox::new(-90.0, 40.0, 20.0, 20.0)),
        ];
        assert_eq!(config.regions(g, &out, &[]).count(), 1);
        let written: Vec<_> = objects(g, &out, true).collect();
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].bbox, BBox::new(0.0, 40.0, 10.0, 20.0));
    }

    #[test]
    fn a_doubtful_face_is_covered_and_not_written() {
        let g = Geometry::new(PixelFormat::Nv12, 100, 100).unwrap();
        let doubtful = TrackedBox { sure: false, ..tracked(ObjectClass::Face, BBox::new(10.0, 40.0, 20.0, 20.0)) };
        assert_eq!(RedactionConfig::default().regions(g, &[doubtful], &[]).count(), 1);
        assert_eq!(objects(g, &[doubtful], true).count(), 0);
    }

    #[test]
    fn what_moves_is_covered_unless_it_is_known_to_be_harmless() {
        let g = Geometry::new(PixelFormat::Nv12, 100, 100).unwrap();
        let config = RedactionConfig { paranoid: true, ..Default::default() };
        let moving = [BBox::new(10.0, 10.0, 16.0, 16.0)];
        assert_eq!(config.regions(g, &[], &moving).count(), 1);
        let car = [tracked(ObjectClass::Vehicle, BBox::new(0.0, 0.0, 40.0, 40.0))];
        assert_eq!(config.regions(g, &car, &moving).count(), 0);
    }

    #[test]
    fn settings_that_would_cover_nothing_are_refused() {
        let config = RedactionConfig { classes: vec![], ..Default::default() };
        assert_eq!(config.check(), Err(ConfigError::Nothing));
        assert!(RedactionConfig { scale: f32::NAN, ..Default::default() }.check().is_err());
        assert!(RedactionConfig { zones: vec![[0.0, 0.0, 2.0, 1.0]], ..Default::default() }.check().is_err());
    }
}
