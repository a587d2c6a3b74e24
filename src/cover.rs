//! What a redaction covers, held against the truth: which pixels are under masks, and which faces are not.
//!
//! The measures are those of the design's section 8, computed as the project's scorer for video does (a face leaks where less than 0.9 of it is
//! covered). Knows boxes and masks; nothing of films, files or models.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A face leaks where a smaller share of it is covered.
pub(crate) const COVERED: f64 = 0.9;
/// Of a face next to nothing is hidden below this share.
const EXPOSED: f64 = 0.1;

/// What was covered, as `--regions` lists it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Region {
    /// The frame's number, from 1.
    pub(crate) image_id: u64,
    /// Left, top, width, height in pixels.
    pub(crate) bbox: [f32; 4],
    /// `ellipse`, or a rectangle.
    pub(crate) shape: String,
}

/// Which pixels of a frame are covered.
pub(crate) struct Mask {
    width: u32,
    height: u32,
    pixels: Vec<bool>,
}

/// The pixels that a box touches: columns and rows.
fn touched([left, top, width, height]: [f32; 4], size: (u32, u32)) -> (std::ops::Range<u32>, std::ops::Range<u32>) {
    let side = |from: f32, length: f32, most: u32| {
        let end = ((from + length).ceil().max(0.0) as u32).min(most);
        (from.floor().max(0.0) as u32).min(end)..end
    };
    (side(left, width, size.0), side(top, height, size.1))
}

/// Whether the middle of a pixel lies in the ellipse within a box.
fn in_ellipse([left, top, width, height]: [f32; 4], x: u32, y: u32) -> bool {
    let (rx, ry) = (width / 2.0 + 1e-6, height / 2.0 + 1e-6);
    let (dx, dy) = (x as f32 + 0.5 - left - width / 2.0, y as f32 + 0.5 - top - height / 2.0);
    (dx / rx).powi(2) + (dy / ry).powi(2) <= 1.0
}

impl Mask {
    /// Of these regions, in a frame of this width and height.
    pub(crate) fn of<'a>((width, height): (u32, u32), regions: impl Iterator<Item = &'a Region>) -> Self {
        let mut mask = Self { width, height, pixels: vec![false; width as usize * height as usize] };
        for region in regions {
            let ellipse = region.shape == "ellipse";
            mask.paint(region.bbox, |x, y| !ellipse || in_ellipse(region.bbox, x, y));
        }
        mask
    }

    fn paint(&mut self, bbox: [f32; 4], inside: impl Fn(u32, u32) -> bool) {
        let (columns, rows) = touched(bbox, (self.width, self.height));
        for y in rows {
            for x in columns.clone().filter(|x| inside(*x, y)) {
                if let Some(pixel) = self.pixels.get_mut((y * self.width + x) as usize) {
                    *pixel = true;
                }
            }
        }
    }

    fn at(&self, x: u32, y: u32) -> bool {
        self.pixels.get((y * self.width + x) as usize).copied().unwrap_or(false)
    }

    /// The share of a box's pixels that is covered; all, where it has none.
    pub(crate) fn share(&self, bbox: [f32; 4]) -> f64 {
        self.share_where(bbox, |_, _| true)
    }

    fn share_where(&self, bbox: [f32; 4], inside: impl Fn(u32, u32) -> bool) -> f64 {
        let (columns, rows) = touched(bbox, (self.width, self.height));
        let (mut all, mut covered) = (0u32, 0u32);
        for (x, y) in rows.flat_map(|y| columns.clone().map(move |x| (x, y))).filter(|(x, y)| inside(*x, *y)) {
            all += 1;
            covered += u32::from(self.at(x, y));
        }
        if all == 0 { 1.0 } else { f64::from(covered) / f64::from(all) }
    }

    /// The share of the frame that is covered.
    pub(crate) fn cover(&self) -> f64 {
        self.share([0.0, 0.0, self.width as f32, self.height as f32])
    }
}

/// A true face in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Face {
    /// Left, top, width, height in pixels.
    pub(crate) bbox: [f32; 4],
    /// The same for the same face in every frame.
    pub(crate) track: u64,
    /// Not to be counted.
    pub(crate) ignore: bool,
}

/// What leaks, over some films.
#[derive(Default)]
pub(crate) struct Leaks {
    faces: u32,
    leaking: u32,
    leaking_box: u32,
    exposed: u32,
    flickers: u32,
    /// Of faces and leaks by height.
    groups: BTreeMap<&'static str, (u32, u32)>,
    /// Whether the track leaked in the frame before, and whether it ever did.
    tracks: BTreeMap<(usize, u64), (bool, bool)>,
    films: usize,
    over: (u64, u64),
    covered: (f64, u32),
}

impl Leaks {
    /// Another film begins: tracks are others.
    pub(crate) fn film(&mut self) {
        self.films += 1;
    }

    /// The next frame of the film: its mask, its faces, and how high a face must be to count, in pixels.
    pub(crate) fn frame(&mut self, mask: &Mask, faces: &[Face], least: f32) {
        for face in faces.iter().filter(|face| !face.ignore && face.bbox[3] >= least) {
            let (columns, rows) = touched(face.bbox, (mask.width, mask.height));
            if columns.is_empty() || rows.is_empty() {
                continue;
            }
            let within = mask.share_where(face.bbox, |x, y| in_ellipse(face.bbox, x, y));
            let leaks = within < COVERED;
            self.faces += 1;
            self.leaking += u32::from(leaks);
            self.leaking_box += u32::from(mask.share(face.bbox) < COVERED);
            self.exposed += u32::from(within < EXPOSED);
            let group = self.groups.entry(volet_synthetic::height_group(face.bbox[3])).or_default();
            *group = (group.0 + 1, group.1 + u32::from(leaks));
            // A face's first frame that leaks is no flicker: nothing was covered before.
            let (before, ever) = self.tracks.entry((self.films, face.track)).or_insert((true, false));
            self.flickers += u32::from(leaks && !*before);
            (*before, *ever) = (leaks, *ever || leaks);
        }
        let (mut over, mut ground) = (0, 0);
        let near = near_faces(mask, faces);
        for (covered, _) in mask.pixels.iter().zip(&near).filter(|(_, near)| !**near) {
            ground += 1;
            over += u64::from(*covered);
        }
        self.over = (self.over.0 + over, self.over.1 + ground);
        self.covered = (self.covered.0 + mask.cover(), self.covered.1 + 1);
    }

    /// Faces that count, over all frames.
    pub(crate) fn faces(&self) -> u32 {
        self.faces
    }

    /// The share of faces, over all frames, of whose ellipse less than 0.9 is covered.
    pub(crate) fn rate(&self) -> f64 {
        share(self.leaking, self.faces)
    }

    /// The same of whose box less than 0.9 is covered.
    pub(crate) fn box_rate(&self) -> f64 {
        share(self.leaking_box, self.faces)
    }

    /// The share of faces of which next to nothing is hidden.
    pub(crate) fn exposed(&self) -> f64 {
        share(self.exposed, self.faces)
    }

    /// The share of tracks that leak in a frame or more.
    pub(crate) fn tracks(&self) -> f64 {
        let leaking = self.tracks.values().filter(|(_, ever)| *ever).count();
        share(leaking as u32, self.tracks.len() as u32)
    }

    /// How often a covered face becomes uncovered, per hundred faces.
    pub(crate) fn flicker(&self) -> f64 {
        100.0 * share(self.flickers, self.faces)
    }

    /// The share of what lies outside of all faces, with some margin, that is covered.
    pub(crate) fn over_redaction(&self) -> f64 {
        self.over.0 as f64 / self.over.1.max(1) as f64
    }

    /// The share of all pixels that is covered.
    pub(crate) fn cover(&self) -> f64 {
        self.covered.0 / f64::from(self.covered.1.max(1))
    }

    /// The leak rate by the height of faces.
    pub(crate) fn by_height(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.groups.iter().map(|(group, (faces, leaks))| (*group, share(*leaks, *faces)))
    }
}

fn share(of: u32, all: u32) -> f64 {
    f64::from(of) / f64::from(all.max(1))
}

/// Pixels within a face's box that was made larger by three tenths at each side: a margin that users accept.
fn near_faces(mask: &Mask, faces: &[Face]) -> Vec<bool> {
    let mut near = vec![false; mask.pixels.len()];
    let side = |from: f32, length: f32, most: u32| {
        let start = (from - 0.3 * length).max(0.0) as u32;
        start..((from + 1.3 * length).max(0.0) as u32 + 1).min(most)
    };
    for Face { bbox: [left, top, width, height], .. } in faces {
        let columns = side(*left, *width, mask.width);
        for y in side(*top, *height, mask.height) {
            for x in columns.clone() {
                if let Some(pixel) = near.get_mut((y * mask.width + x) as usize) {
                    *pixel = true;
                }
            }
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(bbox: [f32; 4], shape: &str) -> Region {
        Region { image_id: 1, bbox, shape: shape.to_owned() }
    }

    #[test]
    fn a_mask_is_what_its_regions_cover() {
        let (ellipse, rect) =
            (region([100.0, 100.0, 40.0, 40.0], "ellipse"), region([100.0, 100.0, 40.0, 40.0], "rect"));
        let share = Mask::of((640, 384), [&ellipse].into_iter()).share(ellipse.bbox);
        assert!((share - std::f64::consts::FRAC_PI_4).abs() < 0.01, "{share}");
        let both = Mask::of((640, 384), [&ellipse, &rect].into_iter());
        assert_eq!((both.share(rect.bbox), both.share([300.0, 10.0, 20.0, 20.0])), (1.0, 0.0));
        assert!((both.cover() - 1600.0 / (640.0 * 384.0)).abs() < 1e-9);
    }

    /// Two frames of two faces: one is covered and then is not, the other is never counted.
    #[test]
    fn leaks_are_counted_by_face_by_track_and_by_change() {
        let face = |left: f32, track, ignore| Face { bbox: [left, 20.0, 20.0, 20.0], track, ignore };
        let faces = [face(10.0, 1, false), face(60.0, 2, true)];
        let cover = region([8.0, 18.0, 24.0, 24.0], "rect");
        let size = (200, 100);
        let mut leaks = Leaks::default();
        leaks.film();
        leaks.frame(&Mask::of(size, [&cover].into_iter()), &faces, 16.0);
        assert_eq!((leaks.rate(), leaks.flicker(), leaks.tracks()), (0.0, 0.0, 0.0));
        assert_eq!(leaks.over_redaction(), 0.0, "the margin is accepted");
        let stray = region([150.0, 80.0, 10.0, 10.0], "rect");
        leaks.frame(&Mask::of(size, [&stray].into_iter()), &faces, 16.0);
        assert_eq!((leaks.faces(), leaks.rate(), leaks.box_rate(), leaks.exposed()), (2, 0.5, 0.5, 0.5));
        assert_eq!((leaks.tracks(), leaks.flicker()), (1.0, 50.0));
        assert!(leaks.over_redaction() > 0.0);
        leaks.frame(&Mask::of(size, [&stray].into_iter()), &faces, 24.0);
        assert_eq!(leaks.faces(), 2, "too small to count");
        assert_eq!(leaks.by_height().count(), 1);
    }
}
