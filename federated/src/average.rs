//! Weighted means of plain vectors: for simulators, which hold all updates at once, and for averaging models. What cameras
//! send is summed by [`crate::secagg`] instead, in integers.

/// How many values of the result are worked on at a time: they stay in the first cache while the updates pass by.
const BLOCK: usize = 2048;
/// How many updates are added in one pass over a block.
const PASS: usize = 8;

/// Why there is no mean.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum AverageError {
    #[error("update {index} has {have} values, and the first has {need}")]
    Length { index: usize, have: usize, need: usize },
    #[error("weights must be finite and add up to more than 0, not {0}")]
    Weights(f64),
}

/// The mean of `updates`, each a vector and its weight. None at all give an empty vector.
///
/// # Errors
/// [`AverageError`].
pub fn weighted_mean(updates: &[(&[f32], f32)]) -> Result<Vec<f32>, AverageError> {
    let Some(&(first, _)) = updates.first() else { return Ok(Vec::new()) };
    let need = first.len();
    if let Some(index) = updates.iter().position(|(update, _)| update.len() != need) {
        let have = updates.get(index).map_or(0, |(update, _)| update.len());
        return Err(AverageError::Length { index, have, need });
    }
    let total: f64 = updates.iter().map(|(_, weight)| f64::from(*weight)).sum();
    let scale = (1.0 / total) as f32;
    if !(total > 0.0 && scale.is_normal()) {
        return Err(AverageError::Weights(total));
    }
    let mut mean = vec![0.0; need];
    // The widest vector instructions that this processor has.
    pulp::Arch::new().dispatch(|| add_all(&mut mean, updates, scale));
    Ok(mean)
}

#[inline(always)]
fn add_all(mean: &mut [f32], updates: &[(&[f32], f32)], scale: f32) {
    for (block, sum) in mean.chunks_mut(BLOCK).enumerate() {
        let range = block * BLOCK..block * BLOCK + sum.len();
        for pass in updates.chunks(PASS) {
            if let [a, b, c, d, e, f, g, h] = pass {
                add_pass(sum, [a, b, c, d, e, f, g, h].map(|u| (&u.0[range.clone()], u.1 * scale)));
            } else {
                for update in pass {
                    let weight = update.1 * scale;
                    sum.iter_mut().zip(&update.0[range.clone()]).for_each(|(s, v)| *s += weight * v);
                }
            }
        }
    }
}

#[inline(always)]
fn add_pass(sum: &mut [f32], updates: [(&[f32], f32); PASS]) {
    let n = sum.len();
    let [a, b, c, d, e, f, g, h] = updates.map(|(update, _)| &update[..n]);
    let [wa, wb, wc, wd, we, wf, wg, wh] = updates.map(|(_, weight)| weight);
    for i in 0..n {
        let low = (a[i] * wa + b[i] * wb) + (c[i] * wc + d[i] * wd);
        let high = (e[i] * we + f[i] * wf) + (g[i] * wg + h[i] * wh);
        sum[i] += low + high;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn means_are_those_of_the_definition(
            n in 1_usize..30, d in 0_usize..5000, seed: u32,
        ) {
            let value = |i: usize, j: usize| ((i * 7919 + j * 104_729 + seed as usize) % 2001) as f32 / 1000.0 - 1.0;
            let vectors: Vec<Vec<f32>> = (0..n).map(|i| (0..d).map(|j| value(i, j)).collect()).collect();
            let updates: Vec<(&[f32], f32)> = vectors.iter().enumerate().map(|(i, v)| (&v[..], 1.0 + i as f32)).collect();
            let mean = weighted_mean(&updates).unwrap();
            let total: f64 = (1..=n).map(|w| w as f64).sum();
            for (j, got) in mean.iter().enumerate() {
                let exact: f64 = (0..n).map(|i| f64::from(value(i, j)) * (i + 1) as f64).sum::<f64>() / total;
                prop_assert!((f64::from(*got) - exact).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn what_has_no_mean_is_an_error() {
        assert_eq!(weighted_mean(&[]), Ok(vec![]));
        let ragged = weighted_mean(&[(&[1.0, 2.0], 1.0), (&[1.0], 1.0)]);
        assert_eq!(ragged, Err(AverageError::Length { index: 1, have: 1, need: 2 }));
        assert!(matches!(weighted_mean(&[(&[1.0], 0.0)]), Err(AverageError::Weights(_))));
        assert!(matches!(weighted_mean(&[(&[1.0], f32::NAN)]), Err(AverageError::Weights(_))));
    }
}
