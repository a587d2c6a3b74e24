//! How good detections are, given the truth: average precision, recall at a rate of false positives, recall by group.
//!
//! One class at a time. Greedy matching by falling score, each true box matched once (PASCAL VOC, Everingham et al.
//! 2010, section 4.2). A detection that matches only an ignored box, or lies by half or more inside one, is neither
//! right nor wrong. Knows no files and no networks.

use crate::BBox;
use std::collections::BTreeMap;

/// A true box of the class that is scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrueBox {
    /// Where.
    pub bbox: BBox,
    /// Neither right nor wrong to find.
    pub ignore: bool,
    /// Group by question: `("hat", "cap")`. Whatever groups there are, recall is reported by them.
    pub groups: Vec<(String, String)>,
}

/// A box that was found, and how sure the detector was.
pub type FoundBox = (BBox, f32);

/// All that was true and found in some pictures, matched at one IoU.
#[derive(Clone, Debug)]
pub struct Scores<'a> {
    /// Matches, surest first.
    marks: Vec<Mark>,
    /// Of every true box that counts.
    groups: Vec<&'a [(String, String)]>,
    pictures: usize,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    score: f32,
    /// Index into `Scores::groups`; `None` is a false positive.
    truth: Option<usize>,
}

/// Recall within a group, with a 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct GroupRecall {
    /// True boxes in the group.
    pub boxes: usize,
    /// Share of them that was found.
    pub recall: f32,
    /// Lower end of the Wilson (1927) score interval, taking boxes as independent.
    pub low: f32,
    /// Its upper end.
    pub high: f32,
}

impl<'a> Scores<'a> {
    /// Matches what was found in each picture (`pictures`: its truth and its finds, in any order) at `iou`.
    pub fn new<'b>(pictures: impl IntoIterator<Item = (&'a [TrueBox], &'b [FoundBox])>, iou: f32) -> Self {
        let mut scores = Self { marks: Vec::new(), groups: Vec::new(), pictures: 0 };
        for (truth, found) in pictures {
            scores.add(truth, found, iou);
        }
        scores.marks.sort_by(|a, b| b.score.total_cmp(&a.score));
        scores
    }

    fn add(&mut self, truth: &'a [TrueBox], found: &[FoundBox], iou: f32) {
        self.pictures += 1;
        let mut number = vec![None; truth.len()];
        for (n, t) in number.iter_mut().zip(truth).filter(|(_, t)| !t.ignore) {
            *n = Some(self.groups.len());
            self.groups.push(&t.groups);
        }
        let mut order: Vec<&FoundBox> = found.iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut used = vec![false; truth.len()];
        for (bbox, score) in order {
            let free = (0..truth.len()).filter(|&i| !truth[i].ignore && !used[i]);
            let overlaps = free.map(|i| (i, truth[i].bbox.iou(bbox))).filter(|(_, o)| *o >= iou);
            if let Some((i, _)) = overlaps.max_by(|a, b| a.1.total_cmp(&b.1)) {
                used[i] = true;
                self.marks.push(Mark { score: *score, truth: number[i] });
                continue;
            }
            let excused = truth
                .iter()
                .filter(|t| t.ignore)
                .any(|t| t.bbox.iou(bbox) >= iou || t.bbox.intersection(bbox) >= 0.5 * bbox.area());
            if !excused {
                self.marks.push(Mark { score: *score, truth: None });
            }
        }
    }

    /// True boxes that count.
    pub fn boxes(&self) -> usize {
        self.groups.len()
    }

    /// Pictures.
    pub fn pictures(&self) -> usize {
        self.pictures
    }

    /// All-point interpolated average precision.
    pub fn average_precision(&self) -> f32 {
        let truths = self.groups.len().max(1) as f32;
        let mut hits = 0usize;
        let mut points: Vec<(f32, f32)> = Vec::with_capacity(self.marks.len());
        for (i, mark) in self.marks.iter().enumerate() {
            hits += usize::from(mark.truth.is_some());
            points.push((hits as f32 / truths, hits as f32 / (i + 1) as f32));
        }
        let mut best = 0.0f32;
        for p in points.iter_mut().rev() {
            best = best.max(p.1);
            p.1 = best;
        }
        let mut area = 0.0;
        let mut recall = 0.0;
        for (r, p) in points {
            area += (r - recall) * p;
            recall = r;
        }
        area
    }

    /// Recall where `rate` false positives are made per picture.
    pub fn recall_at(&self, rate: f32) -> f32 {
        self.hits_at(rate).count() as f32 / self.groups.len().max(1) as f32
    }

    /// The score at which `rate` false positives are made per picture; 0 when there are never so many.
    pub fn threshold_at(&self, rate: f32) -> f32 {
        let most = rate * self.pictures as f32;
        let wrong = self.marks.iter().filter(|m| m.truth.is_none());
        wrong.enumerate().find(|(i, _)| (i + 1) as f32 > most).map_or(0.0, |(_, m)| m.score)
    }

    /// Recall by question and answer where `rate` false positives are made per picture.
    pub fn recall_by_group(&self, rate: f32) -> BTreeMap<String, BTreeMap<String, GroupRecall>> {
        let mut counts: BTreeMap<&str, BTreeMap<&str, (usize, usize)>> = BTreeMap::new();
        for (question, answer) in self.groups.iter().copied().flatten() {
            counts.entry(question).or_default().entry(answer).or_default().0 += 1;
        }
        for truth in self.hits_at(rate) {
            for (question, answer) in self.groups[truth] {
                counts.entry(question).or_default().entry(answer).or_default().1 += 1;
            }
        }
        let inner = |answers: BTreeMap<&str, (usize, usize)>| {
            answers.into_iter().map(|(answer, (boxes, hits))| (answer.to_owned(), wilson(boxes, hits))).collect()
        };
        counts.into_iter().map(|(question, answers)| (question.to_owned(), inner(answers))).collect()
    }

    /// Indices of the true boxes that are found before more than `rate` false positives per picture are made.
    fn hits_at(&self, rate: f32) -> impl Iterator<Item = usize> {
        let most = rate * self.pictures as f32;
        let mut wrong = 0usize;
        let marks = self.marks.iter().take_while(move |m| {
            wrong += usize::from(m.truth.is_none());
            wrong as f32 <= most
        });
        marks.filter_map(|m| m.truth)
    }
}

fn wilson(boxes: usize, hits: usize) -> GroupRecall {
    const Z: f32 = 1.96;
    let n = boxes.max(1) as f32;
    let p = hits as f32 / n;
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    GroupRecall { boxes, recall: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(x: f32, group: &str) -> TrueBox {
        let groups = vec![("hat".to_owned(), group.to_owned())];
        TrueBox { bbox: BBox::new(x, 0.0, 10.0, 10.0), ignore: false, groups }
    }

    fn found(x: f32, score: f32) -> FoundBox {
        (BBox::new(x, 0.0, 10.0, 10.0), score)
    }

    #[test]
    fn figures_of_a_small_case_worked_by_hand() {
        let first = [truth(0.0, "cap"), truth(100.0, "none"), TrueBox { ignore: true, ..truth(200.0, "cap") }];
        let second = [truth(0.0, "cap")];
        // Right, wrong, excused twice (on and inside the ignored box), right; the second find of a face is wrong.
        let in_first = [found(1.0, 0.9), found(50.0, 0.8), found(201.0, 0.7), found(0.0, 0.5), found(100.0, 0.4)];
        let in_second = [found(0.0, 0.3)];
        let scores = Scores::new([(&first[..], &in_first[..]), (&second[..], &in_second[..])], 0.5);
        assert_eq!((scores.boxes(), scores.pictures()), (3, 2));
        // Ranks: hit, miss, miss, hit, hit: precision 1, then 3/5 for the last two.
        assert!((scores.average_precision() - (1.0 / 3.0 + 2.0 / 3.0 * 0.6)).abs() < 1e-6);
        assert!((scores.recall_at(0.5) - 1.0 / 3.0).abs() < 1e-6);
        assert!((scores.recall_at(1.0) - 1.0).abs() < 1e-6);
        assert_eq!((scores.threshold_at(0.5), scores.threshold_at(1.0)), (0.5, 0.0));
        let groups = scores.recall_by_group(0.5);
        assert_eq!((groups["hat"]["cap"].boxes, groups["hat"]["none"].recall), (2, 0.0));
        assert!((groups["hat"]["cap"].recall - 0.5).abs() < 1e-6);
        assert!(groups["hat"]["cap"].low < 0.2 && groups["hat"]["cap"].high > 0.8);
    }

    #[test]
    fn nothing_true_and_nothing_found_are_no_error() {
        let scores = Scores::new([(&[][..], &[found(0.0, 0.5)][..])], 0.3);
        assert_eq!((scores.average_precision(), scores.recall_at(1.0)), (0.0, 0.0));
        let scores = Scores::new([], 0.3);
        assert_eq!((scores.average_precision(), scores.boxes()), (0.0, 0));
    }
}
