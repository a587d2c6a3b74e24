//! Masks: a key expanded to as many uniform residues as a vector has values, by BLAKE3's extendable output.
//!
//! Masks are added modulo 2^32 whatever the round's modulus, which divides it: the spare bits fall away when a vector is
//! packed.

use zeroize::Zeroize;

/// Values expanded at a time: they stay in the first cache while they are added.
const BLOCK: usize = 4096;

/// Adds the mask of a key to a vector.
pub(crate) fn add(vector: &mut [u32], key: &[u8; 32]) {
    apply(vector, key, u32::wrapping_add);
}

/// Takes the mask of a key away again.
pub(crate) fn subtract(vector: &mut [u32], key: &[u8; 32]) {
    apply(vector, key, u32::wrapping_sub);
}

fn apply(vector: &mut [u32], key: &[u8; 32], with: impl Fn(u32, u32) -> u32) {
    let mut reader = blake3::Hasher::new_keyed(key).finalize_xof();
    let mut bytes = [0; 4 * BLOCK];
    for values in vector.chunks_mut(BLOCK) {
        let Some(bytes) = bytes.get_mut(..4 * values.len()) else { continue };
        reader.fill(bytes);
        let (masks, _) = bytes.as_chunks::<4>();
        for (value, mask) in values.iter_mut().zip(masks) {
            *value = with(*value, u32::from_le_bytes(*mask));
        }
    }
    bytes.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_the_keyed_hash_s_output_and_goes_away_again() {
        let mut vector = vec![5_u32; 10_000];
        add(&mut vector, &[9; 32]);
        let mut bytes = vec![0; 40_000];
        blake3::Hasher::new_keyed(&[9; 32]).finalize_xof().fill(&mut bytes);
        let expected = bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap()).wrapping_add(5));
        assert!(vector.iter().copied().eq(expected));
        subtract(&mut vector, &[9; 32]);
        assert!(vector.iter().all(|&v| v == 5));
    }
}
