//! The integer clip.

use super::quantile::WEIGHT;
use super::{BOUND, ClipNorm};

/// An update in integers whose squares add up to at most B^2. The check was made in integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clipped {
    values: Vec<i32>,
    within: bool,
}

impl Clipped {
    /// The last coordinate of an update that was longer than the clip norm, where that adapts.
    #[cfg(feature = "simulation")]
    pub(crate) const OUTSIDE: i32 = -WEIGHT;

    /// Clips an update to `clip`; with `adaptive`, a last coordinate says whether its norm was within.
    pub fn of(update: &[f32], clip: ClipNorm, adaptive: bool) -> Self {
        let finite = |v: f32| if v.is_finite() { f64::from(v) } else { 0.0 };
        // Divided by the largest first, squares neither overflow nor vanish.
        let largest = update.iter().map(|&v| finite(v).abs()).fold(0.0, f64::max);
        let norm = match largest > 0.0 {
            true => largest * update.iter().map(|&v| (finite(v) / largest).powi(2)).sum::<f64>().sqrt(),
            false => 0.0,
        };
        let within = norm <= clip.get();
        let bit = if within { WEIGHT } else { -WEIGHT };
        // Against a site that sends zeros and the other bit the distance is rest + (2 W)^2; against none at all it is less.
        let rest = if adaptive { square(BOUND) - square(2 * WEIGHT) } else { square(BOUND) };
        let mut scale = (rest as f64).sqrt() / clip.get().max(norm);
        let mut shorter = 1e-5;
        loop {
            let mut values: Vec<i32> = update.iter().map(|&v| (finite(v) * scale).round() as i32).collect();
            let squares = values.iter().try_fold(0_u64, |sum, &v| sum.checked_add(square(v)));
            if squares.is_some_and(|squares| squares <= rest) {
                values.extend(adaptive.then_some(bit));
                return Self { values, within };
            }
            // Rounding has lengthened it a little: shorten it, at worst to nothing.
            scale *= 1.0 - shorter;
            shorter = (2.0_f64 * shorter).min(0.5);
        }
    }

    /// The values.
    pub fn values(&self) -> &[i32] {
        &self.values
    }

    /// Whether the update's norm was within the clip norm: known to the device alone, but for the coordinate that says so.
    pub const fn within(&self) -> bool {
        self.within
    }
}

fn square(v: i32) -> u64 {
    u64::from(v.unsigned_abs()).pow(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clip(c: f64) -> ClipNorm {
        ClipNorm::new(c).unwrap()
    }

    fn squares(values: &[i32]) -> u64 {
        values.iter().map(|&v| square(v)).sum()
    }

    proptest! {
        /// Whatever comes, infinities included: the bound holds in integers.
        #[test]
        fn no_update_is_longer_than_the_bound(
            update in prop::collection::vec(any::<f32>(), 0..400), c in 1e-6_f64..1e6, adaptive: bool,
        ) {
            let clipped = Clipped::of(&update, clip(c), adaptive);
            prop_assert_eq!(clipped.values().len(), update.len() + usize::from(adaptive));
            prop_assert!(squares(clipped.values()) <= square(BOUND));
        }

        /// Directions survive: what was within the clip norm is rounded to the nearest step, no more.
        #[test]
        fn what_is_within_is_kept(update in prop::collection::vec(-1.0_f32..1.0, 1..50)) {
            let clipped = Clipped::of(&update, clip(8.0), false);
            for (kept, v) in clipped.values().iter().zip(&update) {
                prop_assert!((f64::from(*kept) - f64::from(*v) * f64::from(BOUND) / 8.0).abs() <= 0.51);
            }
        }
    }

    proptest! {
        /// Present or absent, and present or silent: neither distance is above the bound.
        #[test]
        fn the_bit_stays_inside_the_sensitivity(update in prop::collection::vec(-1e3_f32..1e3, 1..50)) {
            let (own, silent) = (Clipped::of(&update, clip(1.0), true), Clipped::of(&[0.0; 50][..update.len()], clip(1.0), true));
            let apart: Vec<i32> = own.values().iter().zip(silent.values()).map(|(a, b)| a - b).collect();
            prop_assert!(squares(&apart) <= square(BOUND) && squares(own.values()) <= square(BOUND));
        }
    }

    /// Half steps that all round up are the worst that rounding can do to a norm.
    #[test]
    fn rounding_does_not_lengthen_beyond_the_bound() {
        let update = vec![1.5_f32; 120_000_000 / 1000];
        let norm = 1.5 * (update.len() as f64).sqrt();
        // At the clip norm itself every value lies near a half.
        let clipped = Clipped::of(&update, clip(norm), false);
        assert!(squares(clipped.values()) <= square(BOUND));
        assert!(squares(clipped.values()) > square(BOUND) / 2);
    }

    #[test]
    fn what_is_not_finite_counts_as_nothing() {
        let clipped = Clipped::of(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.0], clip(3.0), false);
        assert_eq!(clipped.values(), [0, 0, 0, BOUND]);
        assert_eq!(Clipped::of(&[f32::MAX, f32::MAX], clip(1.0), false).values(), [11585, 11585]);
        assert_eq!(Clipped::of(&[0.0; 3], clip(1.0), true).values(), [0, 0, 0, WEIGHT]);
    }

    #[test]
    fn the_bit_says_whether_the_norm_was_within() {
        let bit = |v: f32| Clipped::of(&[v], clip(1.0), true).values()[1];
        assert_eq!((bit(0.99), bit(1.01)), (WEIGHT, -WEIGHT));
    }
}
