//! The tracker: detections of single frames in, boxes over time out.
//!
//! It looks back from a few frames later: the box of a track at frame `t` is read off a trajectory through the
//! observations before *and after* `t`. So a face that is found at `t` also covers the frames before it
//! (**back-fill**), a face that is missed in between is carried through (**hold**), frames on which the detector
//! did not run are interpolated, and boxes do not flicker. Association is by predicted box and distance, in two
//! passes as in ByteTrack (Zhang et al. 2022): strong detections first, weak ones only to continue a track.
//!
//! Knows boxes and frame numbers; no pixels, no masks.

use serde::{Deserialize, Serialize};
use volet_models::{BBox, Detection, ObjectClass};

/// How tracks are made, kept and drawn out. Counts are frames of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrackerConfig {
    /// Detections of at least this score start a track, in `(0, 1)`. Weaker ones only continue one.
    pub birth_score: f32,
    /// A track with a detection of at least this score counts from its first frame on. Others count once they have
    /// `min_hits` detections; thanks to `delay` that is mostly known in time. At most `birth_score`, and every track
    /// counts at once.
    pub sure_score: f32,
    /// See `sure_score`.
    pub min_hits: u32,
    /// How many frames later a frame is given out: what is found until then still counts for it.
    pub delay: u32,
    /// How many frames a track is carried on after its last detection, at most.
    pub hold: u32,
    /// How many frames a track is drawn out before its first detection; at most `delay` has an effect.
    pub back_fill: u32,
    /// The same two for a track that was seen only once: most of those are false alarms. Each further detection
    /// earns one more frame of hold.
    pub hold_once: u32,
    /// How much a box grows, as a share of its size, for each frame between it and the nearest detection.
    pub growth: f32,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            birth_score: 0.4,
            sure_score: 0.4,
            min_hits: 4,
            delay: 8,
            hold: 8,
            back_fill: 8,
            hold_once: 1,
            growth: 0.01,
        }
    }
}

/// How the box of a track in a frame came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The detector found it in this very frame.
    Detected,
    /// Between two detections.
    Interpolated,
    /// After the last detection.
    Held,
    /// Before the first detection.
    BackFilled,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 4] = [Self::Detected, Self::Held, Self::BackFilled, Self::Interpolated];

    /// Its name in annotation files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Held => "held",
            Self::BackFilled => "backfilled",
            Self::Interpolated => "interpolated",
        }
    }
}

/// A track's box in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackedBox {
    /// The track; numbers are not reused within a stream.
    pub track_id: u32,
    /// What it is.
    pub class: ObjectClass,
    /// Where it is taken to be, in pixels; may reach beyond the frame.
    pub bbox: BBox,
    /// How much the box is enlarged for uncertainty about where the object went: a factor >= 1.
    pub uncertainty: f32,
    /// Score of the nearest detection.
    pub score: f32,
    /// How it came about.
    pub origin: Origin,
    /// Whether any of the track's detections reached `sure_score`. Doubtful tracks are covered; they are not worth
    /// writing down.
    pub sure: bool,
    /// How many detections the track has had until now.
    pub hits: u32,
    /// Their mean score.
    pub mean_score: f32,
}

#[derive(Clone, Copy)]
struct Observation {
    frame: u64,
    bbox: BBox,
    score: f32,
}

struct Trajectory {
    id: u32,
    class: ObjectClass,
    /// Rising by frame, never empty. Old ones that no pending frame needs are dropped.
    seen: Vec<Observation>,
    hits: u32,
    /// The best score of any detection.
    best: f32,
    /// Of all scores.
    sum: f32,
}

/// Follows objects through one stream.
pub struct Tracker {
    config: TrackerConfig,
    tracks: Vec<Trajectory>,
    next_id: u32,
    /// First frames of new scenes, rising; old ones are dropped.
    cuts: Vec<u64>,
    scratch: Scratch,
}

/// Memory that is kept from frame to frame.
#[derive(Default)]
struct Scratch {
    /// Detections with a valid box, best first.
    order: Vec<usize>,
    /// Of each detection, whether a track has it; of each track, whether it has one.
    used: Vec<bool>,
    taken: Vec<bool>,
    /// Distance, track, place in `order`.
    pairs: Vec<(f32, usize, usize)>,
}

/// Observations kept for interpolation and velocity.
const KEPT: usize = 32;
/// A detection further from the predicted centre than this many box sides is somebody else.
const REACH: f32 = 1.2;
/// Sides may differ by this factor between one detection and the next.
const SIZE_RATIO: f32 = 1.8;
/// Frames of hold that each further detection earns.
const HOLD_PER_HIT: u32 = 1;
/// How much of the velocity is left after each frame of extrapolation.
const DAMPING: f32 = 0.85;

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new(config: TrackerConfig) -> Self {
        Self { config, tracks: Vec::new(), next_id: 1, cuts: Vec::new(), scratch: Scratch::default() }
    }

    /// Takes the detections of `frame`; frames must rise, and may be left out when the detector did not run.
    pub fn observe(&mut self, frame: u64, detections: &[Detection]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let Scratch { order, used, taken, .. } = &mut scratch;
        order.clear();
        order.extend((0..detections.len()).filter(|&d| detections[d].bbox.is_valid()));
        order.sort_unstable_by(|&a, &b| detections[b].score.total_cmp(&detections[a].score).then(a.cmp(&b)));
        used.clear();
        used.resize(detections.len(), false);
        taken.clear();
        taken.resize(self.tracks.len(), false);
        let strong = order.iter().take_while(|&&d| detections[d].score >= self.config.birth_score).count();
        self.associate(frame, detections, 0..strong, &mut scratch);
        self.associate(frame, detections, strong..scratch.order.len(), &mut scratch);
        for d in scratch.order[..strong].iter().filter(|&&d| !scratch.used[d]).map(|&d| &detections[d]) {
            let seen = vec![Observation { frame, bbox: d.bbox, score: d.score }];
            self.tracks.push(Trajectory {
                id: self.next_id,
                class: d.class,
                seen,
                hits: 1,
                best: d.score,
                sum: d.score,
            });
            self.next_id += 1;
        }
        self.scratch = scratch;
    }

    /// Takes note that `frame` is the first of another scene: no track reaches across.
    pub fn cut(&mut self, frame: u64) {
        self.cuts.push(frame);
    }

    /// Drops what no frame from `frame` on needs.
    pub fn forget_before(&mut self, frame: u64) {
        let horizon = u64::from(self.config.hold.max(self.config.hold_once));
        self.tracks.retain(|t| t.last().frame + horizon >= frame);
        self.cuts.retain(|c| c + horizon >= frame);
        for t in &mut self.tracks {
            // Only what no pending frame needs any more, however long the delay.
            let past = t.seen.partition_point(|o| o.frame < frame);
            t.seen.drain(..past.saturating_sub(KEPT));
        }
    }

    /// The boxes of all tracks in `frame`, as far as observations until now tell. Ask when `delay` more frames were
    /// observed, or the stream is over.
    pub fn boxes_at(&self, frame: u64) -> impl Iterator<Item = TrackedBox> + '_ {
        let counts = move |t: &&Trajectory| {
            let (first, last) = (t.seen[0].frame, t.last().frame);
            let sure = t.best >= self.config.sure_score || t.hits >= self.config.min_hits;
            sure && !self.is_cut(last, frame) && !self.is_cut(frame, first)
        };
        self.tracks.iter().filter(counts).filter_map(move |t| t.at(frame, &self.config))
    }

    /// Whether a new scene begins after `from` and not after `to`.
    fn is_cut(&self, from: u64, to: u64) -> bool {
        self.cuts.iter().any(|&c| from < c && c <= to)
    }

    /// Pairs tracks that are free with the detections at `places` in the order, nearest first.
    fn associate(&mut self, frame: u64, found: &[Detection], places: std::ops::Range<usize>, scratch: &mut Scratch) {
        let Scratch { order, used, taken, pairs } = scratch;
        pairs.clear();
        for (t, track) in self.tracks.iter().enumerate().filter(|(t, _)| !taken[*t]) {
            let last = track.last().frame;
            if frame > last + u64::from(self.config.hold) || self.is_cut(last, frame) {
                continue;
            }
            let predicted = track.extrapolate(frame);
            for place in places.clone().filter(|&place| found[order[place]].class == track.class) {
                if let Some(cost) = distance(&predicted, &found[order[place]].bbox) {
                    pairs.push((cost, t, place));
                }
            }
        }
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        for &(_, t, place) in pairs.iter() {
            let d = order[place];
            if !taken[t] && !used[d] {
                (taken[t], used[d]) = (true, true);
                let track = &mut self.tracks[t];
                track.seen.push(Observation { frame, bbox: found[d].bbox, score: found[d].score });
                track.hits += 1;
                track.best = track.best.max(found[d].score);
                track.sum += found[d].score;
            }
        }
    }
}

/// How far apart two boxes are, in box sides; `None` when they can't be the same object.
fn distance(a: &BBox, b: &BBox) -> Option<f32> {
    let ratio = |x: f32, y: f32| (x / y).max(y / x);
    if ratio(a.w, b.w) > SIZE_RATIO || ratio(a.h, b.h) > SIZE_RATIO {
        return None;
    }
    let ((ax, ay), (bx, by)) = (a.center(), b.center());
    let far = ((ax - bx).hypot(ay - by)) / (a.area() * b.area()).sqrt().sqrt();
    (far <= REACH).then_some(far + (1.0 - a.iou(b)))
}

impl Trajectory {
    fn last(&self) -> Observation {
        self.seen[self.seen.len() - 1]
    }

    /// How far the track is carried on: the more often it was seen, the further.
    fn hold(&self, config: &TrackerConfig) -> u32 {
        let earned = config.hold_once.saturating_add(self.hits.saturating_sub(1).saturating_mul(HOLD_PER_HIT));
        earned.min(config.hold).max(config.hold_once.min(config.hold))
    }

    /// Movement of the centre per frame, in pixels, over up to four observations from the given end.
    fn velocity(&self, at_start: bool) -> (f32, f32) {
        let n = self.seen.len().min(4);
        let part = if at_start { &self.seen[..n] } else { &self.seen[self.seen.len() - n..] };
        let (a, b) = (part[0], part[n - 1]);
        if a.frame == b.frame {
            return (0.0, 0.0);
        }
        let frames = (b.frame - a.frame) as f32;
        let ((ax, ay), (bx, by)) = (a.bbox.center(), b.bbox.center());
        ((bx - ax) / frames, (by - ay) / frames)
    }

    /// The last box moved on to `frame` at undamped velocity.
    fn extrapolate(&self, frame: u64) -> BBox {
        let (last, (vx, vy)) = (self.last(), self.velocity(false));
        let frames = frame.saturating_sub(last.frame) as f32;
        BBox { x: last.bbox.x + vx * frames, y: last.bbox.y + vy * frames, ..last.bbox }
    }

    fn at(&self, frame: u64, config: &TrackerConfig) -> Option<TrackedBox> {
        let next = self.seen.partition_point(|o| o.frame < frame);
        let found = |o: Observation, bbox, gap: f32, origin| TrackedBox {
            track_id: self.id,
            class: self.class,
            bbox,
            uncertainty: 1.0 + config.growth * gap,
            score: o.score,
            origin,
            sure: self.best >= config.sure_score,
            hits: self.hits,
            mean_score: self.sum / self.hits as f32,
        };
        if let Some(&o) = self.seen.get(next).filter(|o| o.frame == frame) {
            return Some(found(o, self.steadied(next), 0.0, Origin::Detected));
        }
        match (next.checked_sub(1).map(|i| self.seen[i]), self.seen.get(next).copied()) {
            (Some(a), Some(b)) => {
                let (left, right) = ((frame - a.frame) as f32, (b.frame - frame) as f32);
                let t = left / (left + right);
                let mix = |p: f32, q: f32| p + (q - p) * t;
                let (from, to) = (self.steadied(next - 1), self.steadied(next));
                let bbox = BBox::new(mix(from.x, to.x), mix(from.y, to.y), mix(from.w, to.w), mix(from.h, to.h));
                let nearest = if left < right { a } else { b };
                Some(found(nearest, bbox, left.min(right) - 1.0, Origin::Interpolated))
            }
            (Some(a), None) => {
                let gap = frame - a.frame;
                let bbox = drift(self.steadied(next - 1), self.velocity(false), gap);
                (gap <= u64::from(self.hold(config))).then(|| found(a, bbox, gap as f32, Origin::Held))
            }
            (None, Some(b)) => {
                let gap = b.frame - frame;
                let limit = if self.hits > 1 { config.back_fill } else { config.hold_once.min(config.back_fill) };
                let (vx, vy) = self.velocity(true);
                let bbox = drift(self.steadied(0), (-vx, -vy), gap);
                // Observations that were dropped are not the track's beginning.
                let whole = self.hits as usize == self.seen.len();
                (whole && gap <= u64::from(limit)).then(|| found(b, bbox, gap as f32, Origin::BackFilled))
            }
            (None, None) => None,
        }
    }

    /// Box number `i`, its size not below the mean of its neighbours': the detector's jitter may not uncover.
    fn steadied(&self, i: usize) -> BBox {
        let near = &self.seen[i.saturating_sub(2)..(i + 3).min(self.seen.len())];
        let mean = |side: fn(&BBox) -> f32| near.iter().map(|o| side(&o.bbox)).sum::<f32>() / near.len() as f32;
        let own = self.seen[i].bbox;
        let (w, h) = (own.w.max(mean(|b| b.w)), own.h.max(mean(|b| b.h)));
        let (cx, cy) = own.center();
        BBox::new(cx - w / 2.0, cy - h / 2.0, w, h)
    }
}

/// Moves a box by a velocity that dies away.
fn drift(bbox: BBox, (vx, vy): (f32, f32), frames: u64) -> BBox {
    let reach = (1.0 - DAMPING.powi(frames.min(1000) as i32)) / (1.0 - DAMPING);
    BBox { x: bbox.x + vx * reach, y: bbox.y + vy * reach, ..bbox }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn face(x: f32, y: f32, score: f32) -> Detection {
        Detection { class: ObjectClass::Face, bbox: BBox::new(x, y, 20.0, 24.0), score }
    }

    fn walk(config: TrackerConfig, frames: u64, seen: impl Fn(u64) -> Vec<Detection>) -> Vec<Vec<TrackedBox>> {
        let mut tracker = Tracker::new(config);
        let delay = u64::from(config.delay);
        let mut out = Vec::new();
        for f in 0..frames + delay {
            if f < frames {
                tracker.observe(f, &seen(f));
            }
            if f >= delay {
                out.push(tracker.boxes_at(f - delay).collect());
                tracker.forget_before(f - delay);
            }
        }
        out
    }

    #[test]
    fn a_face_found_late_covers_the_frames_before() {
        let out = walk(TrackerConfig::default(), 30, |f| {
            if f >= 10 { vec![face(100.0 + 3.0 * f as f32, 50.0, 0.9)] } else { vec![] }
        });
        for (f, boxes) in out.iter().enumerate() {
            // One more than the delay: a second detection must say where it came from.
            let due = f as u64 + 7 >= 10;
            assert_eq!(!boxes.is_empty(), due, "frame {f}");
            if due {
                let truth = BBox::new(100.0 + 3.0 * f as f32, 50.0, 20.0, 24.0);
                assert!(boxes[0].bbox.iou(&truth) > 0.4, "frame {f}: {:?}", boxes[0]);
            }
        }
        assert_eq!(out[5][0].origin, Origin::BackFilled);
        assert_eq!(out[15][0].origin, Origin::Detected);
    }

    #[test]
    fn a_miss_is_carried_through_under_one_track_id() {
        let out = walk(TrackerConfig::default(), 40, |f| {
            if (12..18).contains(&f) { vec![] } else { vec![face(100.0 + 2.0 * f as f32, 50.0, 0.9)] }
        });
        assert!(out.iter().all(|b| b.len() == 1 && b[0].track_id == 1));
        assert_eq!(out[16][0].origin, Origin::Interpolated);
        assert!((out[16][0].bbox.x - 132.0).abs() < 1.0);
    }

    #[test]
    fn a_flash_is_covered_but_not_for_long() {
        let out = walk(TrackerConfig::default(), 40, |f| if f == 20 { vec![face(10.0, 10.0, 0.9)] } else { vec![] });
        let covered: Vec<usize> = (0..40).filter(|&f| !out[f].is_empty()).collect();
        assert_eq!(covered, (19..=21).collect::<Vec<_>>());
    }

    #[test]
    fn a_doubtful_track_counts_once_it_was_seen_often_enough() {
        let config = TrackerConfig { birth_score: 0.1, sure_score: 0.5, min_hits: 4, ..TrackerConfig::default() };
        let seen =
            |until: u64| move |f: u64| if (10..until).contains(&f) { vec![face(10.0, 10.0, 0.2)] } else { vec![] };
        assert!(walk(config, 40, seen(13)).iter().all(Vec::is_empty), "three weak detections are none");
        let out = walk(config, 40, seen(16));
        assert!((10..16).all(|f| out[f].len() == 1), "six are a face, from the first one on");
    }

    #[test]
    fn a_long_delay_forgets_nothing_that_is_still_to_come() {
        let config = TrackerConfig { delay: 60, ..TrackerConfig::default() };
        let out = walk(config, 200, |_| vec![face(10.0, 10.0, 0.9)]);
        assert!(out.iter().all(|b| b.len() == 1));
    }

    #[test]
    fn nothing_reaches_over_a_cut() {
        let mut tracker = Tracker::new(TrackerConfig::default());
        for f in 0..10 {
            tracker.observe(f, &[face(50.0, 50.0, 0.9)]);
        }
        tracker.cut(10);
        assert_eq!(tracker.boxes_at(9).count(), 1);
        assert_eq!(tracker.boxes_at(10).count(), 0, "nothing is held");
        tracker.observe(12, &[face(50.0, 50.0, 0.9)]);
        assert!(tracker.boxes_at(9).all(|b| b.track_id == 1), "nothing is filled back");
        assert_eq!(tracker.boxes_at(12).next().unwrap().track_id, 2, "and it is somebody else");
    }

    #[test]
    fn weak_detections_continue_a_track_but_start_none() {
        let weak = walk(TrackerConfig::default(), 20, |_| vec![face(10.0, 10.0, 0.2)]);
        assert!(weak.iter().all(Vec::is_empty));
        let faded = walk(TrackerConfig::default(), 60, |f| vec![face(10.0, 10.0, if f < 2 { 0.9 } else { 0.2 })]);
        assert!(faded.iter().all(|b| b.len() == 1));
    }

    #[test]
    fn frames_without_detection_lie_between_their_neighbours() {
        let mut tracker = Tracker::new(TrackerConfig::default());
        for f in (0..30).step_by(3) {
            tracker.observe(f, &[face(4.0 * f as f32, 0.0, 0.9)]);
        }
        let boxes: Vec<_> = tracker.boxes_at(10).collect();
        assert_eq!(boxes[0].origin, Origin::Interpolated);
        assert!((boxes[0].bbox.x - 40.0).abs() < 0.5);
    }

    proptest! {
        /// Whatever detectors say, boxes are finite, every strong detection is covered in its own frame, and memory is bounded.
        #[test]
        fn hostile_detections_do_no_harm(all in proptest::collection::vec(proptest::collection::vec((any::<f32>(), any::<f32>(), 0.1f32..500.0, 0.1f32..500.0, 0f32..1.0), 0..6), 1..40)) {
            let mut tracker = Tracker::new(TrackerConfig::default());
            for (f, found) in all.iter().enumerate() {
                let detections: Vec<Detection> = found.iter().map(|&(x, y, w, h, score)| Detection { class: ObjectClass::Face, bbox: BBox::new(x % 5000.0, y % 5000.0, w, h), score }).collect();
                tracker.observe(f as u64, &detections);
                let boxes: Vec<_> = tracker.boxes_at(f as u64).collect();
                prop_assert!(boxes.iter().all(|b| b.bbox.is_valid()));
                for d in detections.iter().filter(|d| d.bbox.is_valid() && d.score >= 0.4) {
                    prop_assert!(boxes.iter().any(|b| b.bbox.intersection(&d.bbox) >= 0.9 * d.bbox.area()));
                }
                tracker.forget_before(f as u64);
                prop_assert!(tracker.tracks.len() <= 6 * 16);
            }
        }
    }
}
