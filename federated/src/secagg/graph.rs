//! Who is whose neighbour: a Harary graph over members in an order that nobody chose.

/// A regular graph on `members` vertices, drawn from a seed. The same seed gives the same graph everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// Members in the order of the ring.
    ring: Vec<u32>,
    /// Each member's place in it.
    place: Vec<u32>,
    degree: usize,
}

impl Graph {
    /// `degree` is even, or one less than `members` for a complete graph.
    pub(crate) fn draw(members: usize, degree: usize, seed: &[u8; 32]) -> Self {
        let mut ring: Vec<u32> = (0..members as u32).collect();
        let mut reader = blake3::Hasher::new_keyed(seed).finalize_xof();
        // Fisher and Yates; 64 bits leave a bias of at most members / 2^64.
        for last in (1..ring.len()).rev() {
            let mut bytes = [0; 8];
            reader.fill(&mut bytes);
            let chosen = (u128::from(u64::from_le_bytes(bytes)) * (last as u128 + 1)) >> 64;
            ring.swap(last, chosen as usize);
        }
        let mut place = vec![0; members];
        for (at, &member) in (0..).zip(&ring) {
            if let Some(slot) = place.get_mut(member as usize) {
                *slot = at;
            }
        }
        Self { ring, place, degree: degree.min(members.saturating_sub(1)) }
    }

    /// Members in the order of the ring.
    #[cfg(test)]
    pub(crate) fn ring(&self) -> &[u32] {
        &self.ring
    }

    /// A member's neighbours in ascending order; none for who is no member.
    pub(crate) fn neighbours(&self, member: u32) -> Vec<u32> {
        let n = self.ring.len();
        let Some(&place) = self.place.get(member as usize) else { return Vec::new() };
        let place = place as usize;
        let half = self.degree / 2;
        let on_ring = |at: usize| self.ring.get(at % n).copied();
        let mut found: Vec<u32> = if self.degree + 1 == n {
            (0..n as u32).filter(|&other| other != member).collect()
        } else {
            (1..=half).flat_map(|step| [on_ring(place + step), on_ring(place + n - step)]).flatten().collect()
        };
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn graphs_are_regular_symmetric_and_reproducible(n in 3_usize..200, half in 1_usize..60, seed: [u8; 32]) {
            let degree = if 2 * half < n - 1 { 2 * half } else { n - 1 };
            let graph = Graph::draw(n, degree, &seed);
            for member in 0..n as u32 {
                let neighbours = graph.neighbours(member);
                prop_assert_eq!(neighbours.len(), degree);
                prop_assert!(neighbours.windows(2).all(|w| w[0] < w[1]) && !neighbours.contains(&member));
                prop_assert!(neighbours.iter().all(|&other| graph.neighbours(other).contains(&member)));
                prop_assert_eq!(&neighbours, &Graph::draw(n, degree, &seed).neighbours(member));
            }
            prop_assert!(graph.neighbours(n as u32).is_empty());
        }
    }

    #[test]
    fn another_seed_is_another_order() {
        let of = |byte| (0..64).map(|m| Graph::draw(64, 8, &[byte; 32]).neighbours(m)).collect::<Vec<_>>();
        assert_ne!(of(1), of(2));
    }
}
