//! Vectors of residues as bytes: b bits each, lowest bits first, the last byte filled with zeros.

use super::terms::Modulus;

/// Bytes of a packed vector.
pub(crate) const fn packed_len(values: usize, modulus: Modulus) -> usize {
    (values * modulus.bits() as usize).div_ceil(8)
}

/// Packs the lowest bits of each value.
pub(crate) fn pack(values: &[u32], modulus: Modulus) -> Vec<u8> {
    let bits = modulus.bits();
    let mut packed = Vec::with_capacity(packed_len(values.len(), modulus) + 8);
    match bits {
        32 => packed.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        24 => values.iter().map(|v| v.to_le_bytes()).for_each(|[a, b, c, _]| packed.extend([a, b, c])),
        _ => {
            let (mut held, mut count) = (0_u64, 0);
            for &value in values {
                held |= (u64::from(value) & ((1 << bits) - 1)) << count;
                count += bits;
                while count >= 8 {
                    packed.push(held as u8);
                    held >>= 8;
                    count -= 8;
                }
            }
            if count > 0 {
                packed.push(held as u8);
            }
        }
    }
    packed
}

/// Adds a packed vector to `sum`, modulo 2^32. Whether the bytes are exactly as many as they must be, and the spare bits
/// zero; the sum is untouched where not.
#[must_use]
pub(crate) fn add_packed(sum: &mut [u32], packed: &[u8], modulus: Modulus) -> bool {
    let bits = modulus.bits();
    if packed.len() != packed_len(sum.len(), modulus) {
        return false;
    }
    let spare = packed.len() * 8 - sum.len() * bits as usize;
    if spare > 0 && packed.last().is_some_and(|last| last >> (8 - spare) != 0) {
        return false;
    }
    match bits {
        32 => {
            let (values, _) = packed.as_chunks::<4>();
            sum.iter_mut().zip(values).for_each(|(s, v)| *s = s.wrapping_add(u32::from_le_bytes(*v)));
        }
        24 => {
            let (values, _) = packed.as_chunks::<3>();
            for (s, [a, b, c]) in sum.iter_mut().zip(values) {
                *s = s.wrapping_add(u32::from_le_bytes([*a, *b, *c, 0]));
            }
        }
        _ => {
            let mut bytes = packed.iter();
            let (mut held, mut count) = (0_u64, 0);
            for s in sum {
                while count < bits {
                    held |= u64::from(bytes.next().copied().unwrap_or(0)) << count;
                    count += 8;
                }
                *s = s.wrapping_add((held & ((1 << bits) - 1)) as u32);
                held >>= bits;
                count -= bits;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packing_keeps_residues(values in prop::collection::vec(any::<u32>(), 0..200), bits in 8_u32..=32) {
            let modulus = Modulus::new(bits).unwrap();
            let packed = pack(&values, modulus);
            prop_assert_eq!(packed.len(), packed_len(values.len(), modulus));
            let mut sum = vec![1_u32; values.len()];
            prop_assert!(add_packed(&mut sum, &packed, modulus));
            for (s, v) in sum.iter().zip(&values) {
                prop_assert_eq!(modulus.centred(*s), modulus.centred(v.wrapping_add(1)));
            }
        }
    }

    #[test]
    fn too_few_too_many_and_dirty_bytes_are_refused() {
        let modulus = Modulus::new(12).unwrap();
        let mut sum = [0; 3];
        assert!(!add_packed(&mut sum, &[0; 4], modulus));
        assert!(!add_packed(&mut sum, &[0; 6], modulus));
        assert!(!add_packed(&mut sum, &[1, 1, 1, 1, 0x11], modulus));
        assert_eq!(sum, [0; 3]);
        assert!(add_packed(&mut sum, &[1, 0, 0, 0, 0x01], modulus));
    }

    #[test]
    fn residues_are_centred() {
        let modulus = Modulus::new(24).unwrap();
        assert_eq!(modulus.centred(0xff_ffff), -1);
        assert_eq!(modulus.centred(0x80_0000), -(1 << 23));
        assert_eq!(modulus.centred(0x7f_ffff), (1 << 23) - 1);
        assert_eq!(Modulus::FULL.centred(u32::MAX), -1);
    }
}
