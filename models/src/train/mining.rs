//! Hard-negative mining: remembers where the network found what is not there, so that views go back to those places.
//!
//! Timing decides nothing: a step chooses among the mistakes of steps at least [`LAG`] before it, and what a
//! resumed run needs is in its checkpoint. Knows no network: levels of numbers in, places in stills out.

use crate::LabelledBox;
use crate::learning::loss::{Level, decode};
use crate::learning::random::Random;
use crate::net::STRIDES;
use std::ops::Range;

/// Steps between finding a mistake and using it: one more than the loader can be ahead of the network.
pub(super) const LAG: u64 = super::loader::AHEAD as u64 + 2;
/// A cell with at least this score has found something.
const SURE: f32 = 0.25;
/// A find that overlaps no box of its class by this much is a mistake; one that overlaps more is a bad box.
const NEAR: f32 = 0.1;
/// Steps after which a mistake is forgotten: the network has changed.
const MEMORY: u64 = 500;

/// A place in a still, in its pixels, where a view of that step held a false positive of the first class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mistake {
    pub(super) step: u64,
    /// Index of the still, as the loader counts.
    pub(super) still: u64,
    pub(super) x: f32,
    pub(super) y: f32,
}

/// Mistakes in the order of their steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pool(Vec<Mistake>);

impl Pool {
    pub(super) fn add(&mut self, found: impl IntoIterator<Item = Mistake>) {
        self.0.extend(found);
    }

    /// Drops mistakes in stills before `first` and those too old for `step`, which no view will go back to.
    pub(super) fn forget(&mut self, first: u64, step: u64) {
        self.0.retain(|m| m.still >= first && m.step + MEMORY >= step);
    }

    /// One that step `step` may use, if there is any, in one of the stills `stills`.
    pub(super) fn pick(&self, step: u64, stills: Range<u64>, random: &mut Random) -> Option<Mistake> {
        let old = self.0.partition_point(|m| m.step + LAG <= step);
        let recent = self.0.partition_point(|m| m.step + MEMORY < step);
        let usable = self.0[recent.min(old)..old].iter().filter(|m| stills.contains(&m.still));
        let usable: Vec<&Mistake> = usable.collect();
        (!usable.is_empty()).then(|| *usable[random.below(usable.len())])
    }

    /// One line per mistake, for a checkpoint.
    pub(super) fn to_text(&self) -> String {
        let line = |m: &Mistake| format!("{} {} {} {}\n", m.step, m.still, m.x, m.y);
        self.0.iter().map(line).collect()
    }

    /// What [`Pool::to_text`] wrote; `None` when it is anything else.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let line = |line: &str| {
            let mut words = line.split(' ');
            let (step, still) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let (x, y) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some(Mistake { step, still, x, y })
        };
        text.lines().map(line).collect::<Option<Vec<_>>>().map(Self)
    }
}

/// For picture `n` of a batch, the centre in view pixels of its surest false positive of class 0, if it has one.
pub(super) fn worst(levels: &[Level; 3], n: usize, boxes: &[LabelledBox], classes: usize) -> Option<(f32, f32)> {
    let sure = (SURE / (1.0 - SURE)).ln();
    let mut worst: Option<(f32, (f32, f32))> = None;
    for (level, stride) in levels.iter().zip(STRIDES) {
        let cells = level.height * level.width;
        let base = n * (classes + 4) * cells;
        for (cell, &logit) in level.data[base..base + cells].iter().enumerate() {
            if logit < worst.map_or(sure, |w| w.0) {
                continue;
            }
            let v = [0, 1, 2, 3].map(|side| level.data[base + (classes + side) * cells + cell]);
            let found = decode(stride as f32, cell % level.width, cell / level.width, v);
            let known = boxes
                .iter()
                .filter(|b| b.class == 0)
                .any(|b| b.bbox.iou(&found) >= NEAR || (b.ignore && b.bbox.intersection(&found) >= 0.5 * found.area()));
            if !known {
                worst = Some((logit, found.center()));
            }
        }
    }
    worst.map(|w| w.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BBox;

    fn mistake(step: u64, still: u64) -> Mistake {
        Mistake { step, still, x: 1.25, y: 0.1 }
    }

    #[test]
    fn a_pool_survives_its_text_and_offers_nothing_too_young_or_gone() {
        let mut pool = Pool::default();
        pool.add([mistake(1, 5), mistake(2, 9), mistake(30, 9)]);
        assert_eq!(Pool::from_text(&pool.to_text()), Some(pool.clone()));
        assert_eq!(Pool::from_text("1 2 3"), None);
        let mut random = Random::new(1);
        for _ in 0..50 {
            assert_eq!(pool.pick(29, 6..10, &mut random), Some(mistake(2, 9)));
        }
        assert_eq!(pool.pick(LAG, 0..10, &mut random), None);
        assert_eq!(pool.pick(2 + MEMORY, 6..9, &mut random), None, "in stills that the window has");
        assert_eq!(pool.pick(30 + MEMORY, 0..10, &mut random), Some(mistake(30, 9)), "the others are too old");
        pool.forget(6, 3 + MEMORY);
        assert_eq!(pool.to_text().lines().count(), 1);
        pool.forget(10, 31);
        assert_eq!(pool, Pool::default());
    }

    #[test]
    fn only_finds_far_from_every_box_are_mistakes() {
        let mut levels = STRIDES.map(|s| {
            let (height, width) = (64 / s, 64 / s);
            // One class: logits, then four log-distances of one stride each way.
            let mut data = vec![0.0; 5 * height * width];
            data[..height * width].fill(-9.0);
            Level { data, height, width }
        });
        levels[1].data[5] = 2.0;
        let at = |x: f32, y: f32, ignore| LabelledBox { class: 0, bbox: BBox::new(x, y, 32.0, 32.0), ignore };
        // Cell 5 of stride 16 is column 1, row 1: its box is (8, 8, 32, 32).
        assert_eq!(worst(&levels, 0, &[], 1), Some((24.0, 24.0)));
        assert_eq!(worst(&levels, 0, &[at(10.0, 9.0, false)], 1), None);
        assert_eq!(worst(&levels, 0, &[at(40.0, 40.0, false)], 1), Some((24.0, 24.0)));
        let crowd = LabelledBox { class: 0, bbox: BBox::new(0.0, 0.0, 64.0, 64.0), ignore: true };
        assert_eq!(worst(&levels, 0, &[crowd], 1), None);
        levels[1].data[5] = -3.0;
        assert_eq!(worst(&levels, 0, &[], 1), None);
    }
}
