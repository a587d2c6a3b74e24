//! Sets of members, as the wire carries them.

/// A set of members of a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    bits: Vec<bool>,
}

impl Members {
    /// No member of so many.
    pub(crate) fn none(of: usize) -> Self {
        Self { bits: vec![false; of] }
    }

    /// Reads a bitmap; `None` where it is not one of exactly so many members.
    pub(crate) fn read(bytes: &[u8], of: usize) -> Option<Self> {
        let bit = |i: usize| bytes.get(i / 8).is_some_and(|byte| byte >> (i % 8) & 1 == 1);
        let beyond = (of..bytes.len() * 8).any(bit);
        (bytes.len() == of.div_ceil(8) && !beyond).then(|| Self { bits: (0..of).map(bit).collect() })
    }

    /// The bitmap: bit i of byte i / 8, from the lowest, is member i.
    pub(crate) fn write(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        self.bits.chunks(8).map(byte).collect()
    }

    /// Adds a member; whether it was new and is one at all.
    pub(crate) fn add(&mut self, member: u32) -> bool {
        self.bits.get_mut(member as usize).is_some_and(|bit| !std::mem::replace(bit, true))
    }

    /// Whether a member is in the set.
    pub fn contains(&self, member: u32) -> bool {
        self.bits.get(member as usize).copied().unwrap_or(false)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bits.iter().filter(|&&bit| bit).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every member of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.bits).filter_map(|(member, &bit)| bit.then_some(member))
    }

    /// Whether all of these are among `others`.
    pub(crate) fn within(&self, others: &Self) -> bool {
        self.iter().all(|member| others.contains(member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sets_survive_the_wire(bits in prop::collection::vec(any::<bool>(), 0..70)) {
            let set = Members { bits };
            prop_assert_eq!(Members::read(&set.write(), set.bits.len()), Some(set));
        }
    }

    #[test]
    fn misshapen_bitmaps_are_none() {
        assert_eq!(Members::read(&[1, 0], 8), None);
        assert_eq!(Members::read(&[], 1), None);
        assert_eq!(Members::read(&[0x80], 7), None);
        let mut set = Members::none(9);
        assert!(set.add(8) && !set.add(8) && !set.add(9));
        assert_eq!((set.len(), set.write()), (1, vec![0, 1]));
    }
}
