//! Which cell answers for which box, and the loss with its gradient on the network's raw outputs.
//!
//! Class loss: varifocal (Zhang et al. 2021, arXiv:2008.13367, eq. 2), the target of a positive cell being the IoU of its box. Box
//! loss: GIoU (Rezatofighi et al. 2019, arXiv:1902.09630). Assignment: centre sampling per level by size, as FCOS (Tian et
//! al. 2019) with overlapping ranges; the cell nearest to a box's centre is always positive, so that the
//! smallest faces have one. Knows no tensors library: plain numbers in, plain gradients out.

use crate::BBox;
use crate::LabelledBox;
use crate::net::{LOG_DISTANCE, STRIDES};

/// Sizes (square root of the area, pixels) that each level answers for.
const RANGES: [(f32, f32); 3] = [(0.0, 44.0), (30.0, 112.0), (80.0, f32::INFINITY)];
/// Half the side, in cells, of the square about a box's centre whose cells are positive.
const RADIUS: f32 = 1.5;
/// Weight of the box loss against the class loss.
const BOX_WEIGHT: f32 = 2.0;
/// Varifocal loss: weight and exponent of the negatives.
const ALPHA: f32 = 0.75;
const GAMMA: i32 = 2;

/// One output level of a batch: `[N, K + 4, height, width]`.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) data: Vec<f32>,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// The loss of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    pub(crate) class: f32,
    pub(crate) bbox: f32,
    /// Mean IoU of the positive cells.
    pub(crate) iou: f32,
    pub(crate) positives: usize,
}

/// The box that a cell's four log-distances mean.
pub(crate) fn decode(stride: f32, column: usize, row: usize, v: [f32; 4]) -> BBox {
    let (cx, cy) = ((column as f32 + 0.5) * stride, (row as f32 + 0.5) * stride);
    let [l, t, r, b] = v.map(|v| stride * v.clamp(LOG_DISTANCE.0, LOG_DISTANCE.1).exp());
    BBox::from_corners(cx - l, cy - t, cx + r, cy + b)
}

/// Loss and gradient of a batch; `boxes[n]` are those of picture n, `weights[k]` weighs class k. Divided by the number of positive
/// cells, or by as many as are `expected` of each picture.
pub(crate) fn loss(
    levels: &[Level; 3],
    boxes: &[Vec<LabelledBox>],
    weights: &[f32],
    expected: Option<f32>,
) -> (Losses, [Vec<f32>; 3]) {
    let mut grads = [0, 1, 2].map(|i: usize| vec![0.0f32; levels[i].data.len()]);
    let mut total = Losses::default();
    let mut iou_sum = 0.0f32;
    let assigned: Vec<[Vec<Option<usize>>; 3]> = boxes.iter().map(|b| assign(levels, b)).collect();
    total.positives = assigned.iter().flatten().flatten().filter(|a| a.is_some()).count();
    let found = total.positives.max(1) as f32;
    let unit = 1.0 / expected.map_or(found, |each| each * boxes.len() as f32);
    for (n, (boxes, owners)) in boxes.iter().zip(&assigned).enumerate() {
        for (l, level) in levels.iter().enumerate() {
            let cells = level.height * level.width;
            let stride = STRIDES[l] as f32;
            let base = n * (weights.len() + 4) * cells;
            for (cell, owner) in owners[l].iter().enumerate() {
                let (row, column) = (cell / level.width, cell % level.width);
                let owner = owner.map(|i| &boxes[i]);
                let mut quality = 0.0;
                if let Some(owner) = owner {
                    let at = |side: usize| base + (weights.len() + side) * cells + cell;
                    let v = [0, 1, 2, 3].map(|side| level.data[at(side)]);
                    let (giou, iou, slope) = giou(stride, column, row, v, &owner.bbox);
                    quality = iou;
                    iou_sum += iou;
                    let w = BOX_WEIGHT * unit * weights[owner.class];
                    total.bbox += w * (1.0 - giou);
                    for (side, slope) in slope.iter().enumerate() {
                        grads[l][at(side)] = -w * slope;
                    }
                }
                let centre = ((column as f32 + 0.5) * stride, (row as f32 + 0.5) * stride);
                for (class, &weight) in weights.iter().enumerate() {
                    let at = base + class * cells + cell;
                    let positive = owner.is_some_and(|o| o.class == class);
                    if !positive && ignored(boxes, class, centre, stride) {
                        continue;
                    }
                    let target = positive.then_some(quality.max(0.05));
                    let (value, slope) = varifocal(level.data[at], target);
                    total.class += weight * unit * value;
                    grads[l][at] = weight * unit * slope;
                }
            }
        }
    }
    total.iou = iou_sum / found;
    (total, grads)
}

/// Whether a cell looks at an ignored box: its centre is in the box, or the box, smaller than a cell, is in it.
fn ignored(boxes: &[LabelledBox], class: usize, (x, y): (f32, f32), stride: f32) -> bool {
    boxes.iter().filter(|b| b.ignore && b.class == class).any(|b| {
        let (cx, cy) = b.bbox.center();
        (x - cx).abs() <= b.bbox.w.max(stride) / 2.0 && (y - cy).abs() <= b.bbox.h.max(stride) / 2.0
    })
}

/// For each level and cell, the index of the box that it answers for. Smaller boxes win a disputed cell.
fn assign(levels: &[Level; 3], boxes: &[LabelledBox]) -> [Vec<Option<usize>>; 3] {
    let mut owners = [0, 1, 2].map(|l: usize| vec![None; levels[l].height * levels[l].width]);
    let mut order: Vec<usize> = (0..boxes.len()).filter(|&i| !boxes[i].ignore && boxes[i].bbox.is_valid()).collect();
    order.sort_by(|&a, &b| boxes[b].bbox.area().total_cmp(&boxes[a].bbox.area()));
    // Nearest cells last, so that no neighbour takes a tiny face's only cell.
    for nearest_only in [false, true] {
        for &i in &order {
            let bbox = &boxes[i].bbox;
            let size = bbox.area().sqrt();
            let (cx, cy) = bbox.center();
            for (l, level) in levels.iter().enumerate() {
                if size < RANGES[l].0 || size >= RANGES[l].1 {
                    continue;
                }
                let stride = STRIDES[l] as f32;
                let index = |v: f32, n: usize| (v / stride).floor().clamp(0.0, n as f32 - 1.0) as usize;
                let (near_x, near_y) = (index(cx, level.width), index(cy, level.height));
                if nearest_only {
                    owners[l][near_y * level.width + near_x] = Some(i);
                    continue;
                }
                for row in near_y.saturating_sub(2)..(near_y + 3).min(level.height) {
                    for column in near_x.saturating_sub(2)..(near_x + 3).min(level.width) {
                        let (x, y) = ((column as f32 + 0.5) * stride, (row as f32 + 0.5) * stride);
                        let central = (x - cx).abs() <= RADIUS * stride && (y - cy).abs() <= RADIUS * stride;
                        // A quarter of the side in from the edge: edge cells see the neighbour better than the box.
                        let inside = (x - cx).abs() < 0.3 * bbox.w && (y - cy).abs() < 0.3 * bbox.h;
                        if central && inside {
                            owners[l][row * level.width + column] = Some(i);
                        }
                    }
                }
            }
        }
    }
    owners
}

/// Varifocal loss and its slope for logit `z`; `target` is the quality of a positive, `None` a negative.
fn varifocal(z: f32, target: Option<f32>) -> (f32, f32) {
    let p = 1.0 / (1.0 + (-z).exp());
    let softplus = z.max(0.0) + (-z.abs()).exp().ln_1p();
    match target {
        Some(q) => (q * (softplus - q * z), q * (p - q)),
        None => {
            let focus = ALPHA * p.powi(GAMMA);
            (focus * softplus, focus * (GAMMA as f32 * (1.0 - p) * softplus + p))
        }
    }
}

/// A value with its derivatives by the four log-distances.
#[derive(Clone, Copy)]
struct Dual(f32, [f32; 4]);

impl Dual {
    fn map2(self, o: Self, value: f32, da: f32, db: f32) -> Self {
        let mut d = [0.0; 4];
        for (d, (a, b)) in d.iter_mut().zip(self.1.iter().zip(&o.1)) {
            *d = da * a + db * b;
        }
        Self(value, d)
    }
    fn add(self, o: Self) -> Self {
        self.map2(o, self.0 + o.0, 1.0, 1.0)
    }
    fn sub(self, o: Self) -> Self {
        self.map2(o, self.0 - o.0, 1.0, -1.0)
    }
    fn mul(self, o: Self) -> Self {
        self.map2(o, self.0 * o.0, o.0, self.0)
    }
    fn div(self, o: Self) -> Self {
        self.map2(o, self.0 / o.0, 1.0 / o.0, -self.0 / (o.0 * o.0))
    }
    fn min(self, o: Self) -> Self {
        if self.0 <= o.0 { self } else { o }
    }
    fn max(self, o: Self) -> Self {
        if self.0 >= o.0 { self } else { o }
    }
}

/// GIoU and IoU of a cell's box with `truth`, and GIoU's slope by the four log-distances.
fn giou(stride: f32, column: usize, row: usize, v: [f32; 4], truth: &BBox) -> (f32, f32, [f32; 4]) {
    let centre = [(column as f32 + 0.5) * stride, (row as f32 + 0.5) * stride];
    let corner = |i: usize| {
        let (low, high) = LOG_DISTANCE;
        let distance = stride * v[i].clamp(low, high).exp();
        let sign = if i < 2 { -1.0 } else { 1.0 };
        let mut d = [0.0; 4];
        // Beyond the clamp the slope is kept, so that it can lead back inside (a straight-through estimate).
        d[i] = sign * distance;
        Dual(centre[i % 2] + sign * distance, d)
    };
    let number = |value: f32| Dual(value, [0.0; 4]);
    let [x0, y0, x1, y1] = [0, 1, 2, 3].map(corner);
    let [tx0, ty0, tx1, ty1] = [truth.x, truth.y, truth.right(), truth.bottom()].map(number);
    let zero = number(0.0);
    let inter = x1.min(tx1).sub(x0.max(tx0)).max(zero).mul(y1.min(ty1).sub(y0.max(ty0)).max(zero));
    let union = x1.sub(x0).mul(y1.sub(y0)).add(number(truth.area())).sub(inter).max(number(1e-6));
    let hull = x1.max(tx1).sub(x0.min(tx0)).mul(y1.max(ty1).sub(y0.min(ty0))).max(number(1e-6));
    let iou = inter.div(union);
    let giou = iou.sub(hull.sub(union).div(hull));
    (giou.0, iou.0.clamp(0.0, 1.0), giou.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learning::random::Random;

    fn levels(classes: usize, random: &mut Random) -> [Level; 3] {
        STRIDES.map(|s| {
            let (height, width) = (64 / s, 96 / s);
            let data = (0..(classes + 4) * height * width).map(|_| random.normal() * 0.7).collect();
            Level { data, height, width }
        })
    }

    fn face(x: f32, y: f32, w: f32, h: f32) -> LabelledBox {
        LabelledBox { class: 0, bbox: BBox::new(x, y, w, h), ignore: false }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let mut random = Random::new(5);
        let mut levels = levels(2, &mut random);
        let mut other = face(20.0, 3.0, 40.0, 55.0);
        other.class = 1;
        let boxes = vec![vec![face(10.3, 11.0, 9.0, 10.0), face(50.0, 20.0, 30.0, 33.0), other]];
        let (_, grads) = loss(&levels, &boxes, &[1.0, 0.5], None);
        // The target IoU is a constant to the class loss, so only the box part is checked by distance
        // channels and only the class part by class channels.
        for l in 0..3 {
            let cells = levels[l].height * levels[l].width;
            for (i, expected) in grads[l].iter().enumerate() {
                let class_part = i < 2 * cells;
                let mut at = |delta: f32| {
                    let kept = levels[l].data[i];
                    levels[l].data[i] = kept + delta;
                    let (losses, _) = loss(&levels, &boxes, &[1.0, 0.5], None);
                    levels[l].data[i] = kept;
                    if class_part { losses.class } else { losses.bbox }
                };
                let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((slope - expected).abs() < 4e-3, "level {l} value {i}: {slope} against {expected}");
            }
        }
    }

    #[test]
    fn every_box_has_a_cell_even_the_smallest() {
        let mut random = Random::new(6);
        let levels = levels(1, &mut random);
        for _ in 0..500 {
            let (w, h) = (random.between(3.0, 60.0), random.between(3.0, 60.0));
            let b = face(random.between(-w / 2.0, 95.0 - w / 2.0), random.between(-h / 2.0, 63.0 - h / 2.0), w, h);
            let owners = assign(&levels, &[b]);
            assert!(owners.iter().flatten().any(|o| o.is_some()), "{b:?}");
        }
    }

    #[test]
    fn nothing_is_learnt_inside_an_ignored_box() {
        let mut random = Random::new(7);
        let levels = levels(1, &mut random);
        let whole = LabelledBox { class: 0, bbox: BBox::new(0.0, 0.0, 96.0, 64.0), ignore: true };
        let (losses, grads) = loss(&levels, &[vec![whole]], &[1.0], None);
        assert_eq!(losses.positives, 0);
        assert!(grads.iter().flatten().all(|g| *g == 0.0));
    }

    #[test]
    fn an_ignored_box_smaller_than_a_cell_still_excuses_one_at_every_level() {
        let mut random = Random::new(8);
        let levels = levels(1, &mut random);
        for _ in 0..200 {
            let (w, h) = (random.between(2.0, 6.0), random.between(2.0, 6.0));
            let mut tiny = face(random.between(0.0, 90.0), random.between(0.0, 58.0), w, h);
            tiny.ignore = true;
            let (_, grads) = loss(&levels, &[vec![tiny]], &[1.0], None);
            for (level, grads) in levels.iter().zip(grads) {
                let cells = level.height * level.width;
                assert!(grads[..cells].contains(&0.0), "{tiny:?} is learnt as nothing");
            }
        }
    }
}
