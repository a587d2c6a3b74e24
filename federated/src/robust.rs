//! How shards' mean updates become one: their mean, or what a few hostile shards cannot move far.
//!
//! A server that sees only sums cannot look at single updates, but a hostile site spoils no more than the sum that it is
//! in. Yin, Chen, Ramchandran and Bartlett 2018 ("Byzantine-Robust Distributed Learning: Towards Optimal Statistical
//! Rates"), definitions 1 and 2, with shards where the paper has workers: while fewer than half of the shards are hostile,
//! every coordinate of the median lies between those of honest shards. The simulator and the aggregator combine by the
//! same code.
//!
//! Knows vectors of numbers. What they are given was made private before: nothing here costs privacy.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Why shards are not combined.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum CombineError {
    #[error("combine is {0:?}; it must be mean, median, trimmed-mean or trimmed-mean:SHARE, such as trimmed-mean:0.1")]
    Word(String),
    #[error("a trimmed mean leaves out a share above 0 and below 0.5 at either end, not {0}")]
    Share(f64),
    #[error("the {how} is of {need} shards or more, and {have} came to a sum; ask more sites, or combine by the mean")]
    TooFew { how: Combine, have: usize, need: usize },
    #[error("a shard's mean has {have} values, and the one before {need}")]
    Length { have: usize, need: usize },
}

/// How shards are combined, coordinate by coordinate. As text: `mean`, `median`, `trimmed-mean` (a quarter at either end)
/// or `trimmed-mean:0.1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Combine {
    /// All count alike: one hostile shard moves it as far as it likes.
    #[default]
    Mean,
    /// The middle one, or half-way between the two in the middle.
    Median,
    /// The mean of what is left without the largest and the smallest.
    TrimmedMean(Trim),
}

/// The share of shards that a trimmed mean leaves out at either end: above 0 and below a half.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Trim(f64);

impl Trim {
    /// A share.
    ///
    /// # Errors
    /// [`CombineError::Share`].
    pub fn new(share: f64) -> Result<Self, CombineError> {
        if share > 0.0 && share < 0.5 { Ok(Self(share)) } else { Err(CombineError::Share(share)) }
    }

    /// How many of `parts` are left out at either end: rounded up, and so many that one or two remain.
    fn of(self, parts: usize) -> usize {
        ((self.0 * parts as f64).ceil() as usize).min(parts.saturating_sub(1) / 2)
    }
}

impl Combine {
    /// The fewest shards that it is of. Of two, neither is in the middle.
    pub const fn least(self) -> usize {
        match self {
            Self::Mean => 1,
            Self::Median | Self::TrimmedMean(_) => 3,
        }
    }
}

impl fmt::Display for Combine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Median => f.write_str("median"),
            Self::TrimmedMean(Trim(share)) => write!(f, "trimmed-mean:{share}"),
        }
    }
}

impl FromStr for Combine {
    type Err = CombineError;

    fn from_str(text: &str) -> Result<Self, CombineError> {
        let word = || CombineError::Word(text.to_owned());
        match text.split_once(':') {
            None if text == "mean" => Ok(Self::Mean),
            None if text == "median" => Ok(Self::Median),
            None if text == "trimmed-mean" => Trim::new(0.25).map(Self::TrimmedMean),
            Some(("trimmed-mean", share)) => Trim::new(share.parse().map_err(|_| word())?).map(Self::TrimmedMean),
            _ => Err(word()),
        }
    }
}

impl TryFrom<String> for Combine {
    type Error = CombineError;

    fn try_from(text: String) -> Result<Self, CombineError> {
        text.parse()
    }
}

impl From<Combine> for String {
    fn from(combine: Combine) -> Self {
        combine.to_string()
    }
}

/// Combines shards that come one after the other. For a mean it holds one vector, for the others all that came.
#[derive(Clone, Debug)]
pub struct Combiner {
    how: Combine,
    parts: usize,
    held: Held,
}

#[derive(Clone, Debug)]
enum Held {
    Sum(Vec<f64>),
    Parts(Vec<Vec<f32>>),
}

impl Combiner {
    /// Without any shard.
    pub fn new(how: Combine) -> Self {
        let held = if how == Combine::Mean { Held::Sum(Vec::new()) } else { Held::Parts(Vec::new()) };
        Self { how, parts: 0, held }
    }

    /// Adds a shard's mean update.
    ///
    /// # Errors
    /// [`CombineError::Length`]: it is not as long as those before; it was not added.
    pub fn add(&mut self, part: Vec<f32>) -> Result<(), CombineError> {
        let need = match &self.held {
            _ if self.parts == 0 => part.len(),
            Held::Sum(sum) => sum.len(),
            Held::Parts(parts) => parts.first().map_or(part.len(), Vec::len),
        };
        if part.len() != need {
            return Err(CombineError::Length { have: part.len(), need });
        }
        match &mut self.held {
            Held::Sum(sum) => {
                sum.resize(need, 0.0);
                sum.iter_mut().zip(&part).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            Held::Parts(parts) => parts.push(part),
        }
        self.parts += 1;
        Ok(())
    }

    /// How many shards came.
    pub const fn parts(&self) -> usize {
        self.parts
    }

    /// One update of all.
    ///
    /// # Errors
    /// [`CombineError::TooFew`]: fewer than [`Combine::least`] came. It never falls back to a mean.
    pub fn finish(self) -> Result<Vec<f32>, CombineError> {
        let Self { how, parts: have, held } = self;
        if have < how.least() {
            return Err(CombineError::TooFew { how, have, need: how.least() });
        }
        let trim = match how {
            Combine::TrimmedMean(trim) => trim.of(have),
            // All but the one or the two in the middle.
            _ => (have - 1) / 2,
        };
        Ok(match held {
            Held::Sum(sum) => sum.into_iter().map(|sum| (sum / have as f64) as f32).collect(),
            Held::Parts(parts) => trimmed(&parts, trim),
        })
    }
}

/// How many coordinates are sorted at a time: their values are read from each part together.
const BLOCK: usize = 64;

/// For each coordinate the mean of its values but the `trim` largest and smallest.
fn trimmed(parts: &[Vec<f32>], trim: usize) -> Vec<f32> {
    let dimension = parts.first().map_or(0, Vec::len);
    let mut combined = Vec::with_capacity(dimension);
    let mut columns: Vec<Vec<f32>> = vec![Vec::new(); BLOCK];
    for start in (0..dimension).step_by(BLOCK) {
        columns.iter_mut().for_each(Vec::clear);
        for part in parts {
            columns.iter_mut().zip(part.iter().skip(start)).for_each(|(column, &value)| column.push(value));
        }
        combined.extend(columns.iter_mut().take(dimension - start).map(|column| middle(column, trim)));
    }
    combined
}

/// In the order of their size, whoever they came from: the same sum to the last bit.
fn middle(values: &mut [f32], trim: usize) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let kept = values.get(trim..values.len() - trim).unwrap_or_default();
    (kept.iter().map(|&value| f64::from(value)).sum::<f64>() / kept.len() as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn combine(how: Combine, parts: &[Vec<f32>]) -> Vec<f32> {
        let mut combiner = Combiner::new(how);
        parts.iter().for_each(|part| combiner.add(part.clone()).unwrap());
        combiner.finish().unwrap()
    }

    fn trim(share: f64) -> Combine {
        Combine::TrimmedMean(Trim::new(share).unwrap())
    }

    /// Three to twelve parts of up to 200 values.
    fn parts() -> impl Strategy<Value = Vec<Vec<f32>>> {
        (3_usize..12, 0_usize..200)
            .prop_flat_map(|(n, d)| prop::collection::vec(prop::collection::vec(-1e3_f32..1e3, d..=d), n..=n))
    }

    proptest! {
        /// Whatever fewer than half of the parts hold, infinities and what is no number included.
        #[test]
        fn honest_parts_bound_the_median(
            honest in parts(), hostile in prop::collection::vec(any::<f32>(), 0..11),
        ) {
            let (n, d) = (honest.len(), honest[0].len());
            let all: Vec<Vec<f32>> =
                hostile.iter().take(n - 1).map(|&v| vec![v; d]).chain(honest.iter().cloned()).collect();
            let share = (hostile.len().min(n - 1) as f64 / all.len() as f64).max(0.01);
            for how in [Combine::Median, trim(share)] {
                for (i, value) in combine(how, &all).into_iter().enumerate() {
                    let column = || honest.iter().map(|part| part[i]);
                    let (low, high) = (column().fold(f32::MAX, f32::min), column().fold(f32::MIN, f32::max));
                    prop_assert!((low..=high).contains(&value), "{how}: {value} is not in {low}..={high}");
                }
            }
        }

        #[test]
        fn the_order_of_parts_does_not_matter(parts in parts(), by in 1_usize..11) {
            let mut turned = parts.clone();
            turned.rotate_left(by % parts.len());
            for how in [Combine::Median, trim(0.1), trim(0.4)] {
                prop_assert_eq!(combine(how, &parts), combine(how, &turned));
            }
        }

        #[test]
        fn nothing_trimmed_is_the_mean_and_all_but_the_middle_the_median(parts in parts()) {
            for (mean, same) in combine(Combine::Mean, &parts).into_iter().zip(trimmed(&parts, 0)) {
                prop_assert!((mean - same).abs() <= 1e-6 * mean.abs().max(1e-3));
            }
            prop_assert_eq!(combine(Combine::Median, &parts), combine(trim(0.499), &parts));
        }

        #[test]
        fn text_is_kept(share in 0.001_f64..0.499) {
            for how in [Combine::Mean, Combine::Median, trim(share)] {
                prop_assert_eq!(how.to_string().parse(), Ok(how));
            }
        }
    }

    #[test]
    fn values_are_those_of_the_definitions() {
        let parts: Vec<Vec<f32>> = [1.0, 9.0, 2.0, 4.0].iter().map(|&v| vec![v, -v]).collect();
        assert_eq!(combine(Combine::Mean, &parts), [4.0, -4.0]);
        assert_eq!(combine(Combine::Median, &parts), [3.0, -3.0]);
        assert_eq!(combine(Combine::Median, &parts[..3]), [2.0, -2.0]);
        // A tenth of four, rounded up, is one.
        assert_eq!(combine(trim(0.1), &parts), [3.0, -3.0]);
        let five = [&parts[..], &[vec![6.0, -6.0]]].concat();
        assert_eq!(combine(trim(0.2), &five), [4.0, -4.0]);
    }

    #[test]
    fn too_few_or_unlike_parts_are_refused() {
        let mut two = Combiner::new(Combine::Median);
        two.add(vec![1.0]).unwrap();
        assert_eq!(two.add(vec![1.0, 2.0]), Err(CombineError::Length { have: 2, need: 1 }));
        two.add(vec![2.0]).unwrap();
        assert_eq!(two.parts(), 2);
        assert_eq!(two.finish(), Err(CombineError::TooFew { how: Combine::Median, have: 2, need: 3 }));
        assert!(Combiner::new(Combine::Mean).finish().is_err());
        for text in ["", "Mean", "trimmed-mean:", "trimmed-mean:x", "median:0.1", "trimmed-mean:0", "trimmed-mean:0.5"]
        {
            assert!(text.parse::<Combine>().is_err(), "{text}");
        }
        assert!("trimmed-mean:NaN".parse::<Combine>().is_err());
        assert_eq!("trimmed-mean".parse(), Ok(trim(0.25)));
    }
}
