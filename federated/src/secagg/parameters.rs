//! How many neighbours, how many shares, how many witnesses: derived from how many sites may collude or vanish and how
//! unlikely failure is to be, never typed in.
//!
//! Bell, Bonawitz, Gascón, Lepoint and Raykova 2020 ("Secure Single-Server Aggregation with (Poly)Logarithmic Overhead"),
//! section 3: neighbours on a random Harary graph are a sample without replacement, so what matters are tails of
//! hypergeometric distributions. They are added up here instead of being bounded.
//!
//! **Chosen dropouts.** The paper's Harary graph stands against sites that vanish by chance. A hostile server names the
//! survivors itself: by calling two stretches of half a degree each "vanished" it cuts the ring, and learns the sum of
//! the short piece between them, whose noise is far too little. The threshold here makes that useless. Two pieces lie
//! at least half a degree apart on the ring, so the first site of a piece has no honest neighbour on its one side: at
//! most half a degree of neighbours, and the colluding ones of the other half, can give away shares of its own mask.
//! A threshold above that number keeps the mask, and with it the piece's sum, closed.

use super::terms::TermsError;

/// What may go wrong, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Risk {
    corrupt_per_mille: u32,
    dropout_per_mille: u32,
    security_bits: u32,
    correctness_bits: u32,
}

impl Risk {
    /// `corrupt_per_mille` of the sites collude with the server, `dropout_per_mille` vanish at the worst moment; privacy
    /// fails with a probability of at most 2^-`security_bits`, and the sum is lost by bad luck with one of at most
    /// 2^-`correctness_bits`.
    ///
    /// The graph follows from the roster, and a colluding site can change its own keys as often as it likes before the
    /// roster is fixed: a try takes microseconds. Security therefore counts per try. 40 bits fall to days of trying; 80 are
    /// for whoever fears that.
    ///
    /// # Errors
    /// [`TermsError::Risk`] for values out of range: up to 333 and 450 in a thousand, 40 to 128 and 10 to 64 bits.
    pub fn new(
        corrupt_per_mille: u32,
        dropout_per_mille: u32,
        security_bits: u32,
        correctness_bits: u32,
    ) -> Result<Self, TermsError> {
        let within = |what, given: u32, min, max| {
            if (min..=max).contains(&given) { Ok(()) } else { Err(TermsError::Risk { what, min, max, given }) }
        };
        within("the share of colluding sites, per mille,", corrupt_per_mille, 0, 333)?;
        within("the share of sites that may vanish, per mille,", dropout_per_mille, 0, 450)?;
        within("security in bits", security_bits, 40, 128)?;
        within("correctness in bits", correctness_bits, 10, 64)?;
        Ok(Self { corrupt_per_mille, dropout_per_mille, security_bits, correctness_bits })
    }

    /// Colluding sites of each thousand.
    pub const fn corrupt_per_mille(&self) -> u32 {
        self.corrupt_per_mille
    }

    /// Vanishing sites of each thousand.
    pub const fn dropout_per_mille(&self) -> u32 {
        self.dropout_per_mille
    }

    /// Privacy fails with probability 2^-this.
    pub const fn security_bits(&self) -> u32 {
        self.security_bits
    }

    /// The sum is lost with probability 2^-this.
    pub const fn correctness_bits(&self) -> u32 {
        self.correctness_bits
    }

    /// How many of `members` may collude, rounded up.
    pub const fn corrupt(&self, members: usize) -> usize {
        (members * self.corrupt_per_mille as usize).div_ceil(1000)
    }

    /// How many of `members` may vanish, rounded up.
    pub const fn dropouts(&self, members: usize) -> usize {
        (members * self.dropout_per_mille as usize).div_ceil(1000)
    }
}

/// No graph of this many sites withstands what it is asked to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{members} sites cannot bear {corrupt} that collude and {dropouts} that vanish; invite more sites, or promise less"
)]
pub struct TooRisky {
    /// Sites in the roster.
    pub members: usize,
    /// How many of them may collude.
    pub corrupt: usize,
    /// How many may vanish.
    pub dropouts: usize,
}

/// What a round of so many members works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    members: usize,
    degree: usize,
    threshold: usize,
    quorum: usize,
}

impl Parameters {
    /// The smallest degree, and the smallest threshold with it, that meet `risk` among `members` sites.
    ///
    /// # Errors
    /// [`TooRisky`] where not even a complete graph does.
    pub fn derive(members: usize, risk: &Risk) -> Result<Self, TooRisky> {
        let (corrupt, dropouts) = (risk.corrupt(members), risk.dropouts(members));
        let hopeless = TooRisky { members, corrupt, dropouts };
        // Two sets of survivors cannot both be signed by so many, since honest sites sign one.
        let quorum = (members + corrupt) / 2 + 1;
        if members < 3 || members - dropouts < quorum {
            return Err(hopeless);
        }
        let chances = Chances::new(members);
        let each = (members as f64).log2();
        let secure = -(f64::from(risk.security_bits) + each);
        let correct = -(f64::from(risk.correctness_bits) + each);
        let (mut low, mut high) = (1, (members - 1) / 2);
        let fits = |half: usize| {
            let degree = 2 * half;
            // One side or the other of any member: twice as many chances.
            let colluding = chances.least(corrupt, half, secure - 1.0);
            let threshold = chances.least(corrupt, degree, secure).max(half + colluding).max(2);
            let lost = chances.at_least(dropouts, degree, (degree + 1).saturating_sub(threshold));
            (threshold <= degree && lost <= correct).then_some(threshold)
        };
        // More neighbours are never worse up to rounding of the threshold: search for the first that serve.
        if high > 1 && fits(high - 1).is_some() {
            while low < high {
                let middle = usize::midpoint(low, high);
                if fits(middle).is_some() { high = middle } else { low = middle + 1 }
            }
            if let Some(threshold) = fits(low) {
                return Ok(Self { members, degree: 2 * low, threshold, quorum });
            }
        }
        // In a complete graph there are no pieces, and all who collude are fewer than the threshold.
        let threshold = (corrupt + 1).max(2);
        if members - 1 < threshold + dropouts {
            return Err(hopeless);
        }
        Ok(Self { members, degree: members - 1, threshold, quorum })
    }

    /// Sites in the roster.
    pub const fn members(&self) -> usize {
        self.members
    }

    /// Neighbours of each site.
    pub const fn degree(&self) -> usize {
        self.degree
    }

    /// Shares that reconstruct a secret.
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Members whose signatures under one set of survivors make it the only one.
    pub const fn quorum(&self) -> usize {
        self.quorum
    }
}

/// Tails of hypergeometric distributions, as binary logarithms.
struct Chances {
    others: usize,
    /// log2 of factorials.
    factorial: Vec<f64>,
}

impl Chances {
    fn new(members: usize) -> Self {
        let mut sum = 0.0;
        let factorial = (0..members)
            .map(|i| {
                sum += (i.max(1) as f64).log2();
                sum
            })
            .collect();
        Self { others: members - 1, factorial }
    }

    /// log2 of "n over k".
    fn choose(&self, n: usize, k: usize) -> f64 {
        let f = |i: usize| self.factorial.get(i).copied().unwrap_or(f64::NAN);
        f(n) - f(k) - f(n - k)
    }

    /// log2 of the chance that exactly `x` of `degree` neighbours are among `marked` of the others.
    fn exactly(&self, marked: usize, degree: usize, x: usize) -> f64 {
        if x > marked || x > degree || degree - x > self.others - marked {
            return f64::NEG_INFINITY;
        }
        self.choose(marked, x) + self.choose(self.others - marked, degree - x) - self.choose(self.others, degree)
    }

    /// log2 of the chance that at least `x` of the neighbours are marked.
    fn at_least(&self, marked: usize, degree: usize, x: usize) -> f64 {
        (x..=degree.min(marked)).map(|x| self.exactly(marked, degree, x).exp2()).sum::<f64>().log2()
    }

    /// The least number that are all marked with a chance of at most 2^`limit`.
    fn least(&self, marked: usize, degree: usize, limit: f64) -> usize {
        let mut tail = 0.0;
        let mut least = degree.min(marked) + 1;
        for x in (0..=degree.min(marked)).rev() {
            tail += self.exactly(marked, degree, x).exp2();
            if tail.log2() > limit {
                break;
            }
            least = x;
        }
        least.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn risk(corrupt: u32, dropout: u32) -> Risk {
        Risk::new(corrupt, dropout, 40, 20).unwrap()
    }

    #[test]
    fn known_settings() {
        let of = |n, risk: &Risk| {
            let p = Parameters::derive(n, risk).unwrap();
            println!("{n} members, {risk:?}: {p:?}");
            (p.degree(), p.threshold())
        };
        // Five colluding sites on one side and five that vanish are all there are: no luck is needed.
        assert_eq!(of(50, &risk(100, 100)), (22, 17));
        // So many that no sparse graph serves.
        assert_eq!(of(50, &risk(333, 150)), (49, 18));
        for n in [100, 256, 512, 1000, 4000] {
            let (degree, threshold) = of(n, &risk(50, 50));
            assert!(degree <= 128 && threshold > degree / 2, "{n}: {degree} {threshold}");
        }
        let (mild, harsh) = (of(1000, &risk(50, 50)), of(1000, &risk(200, 100)));
        assert!(mild.0 < harsh.0);
    }

    #[test]
    fn the_impossible_is_refused() {
        assert!(Parameters::derive(2, &risk(0, 0)).is_err());
        assert!(Parameters::derive(100, &risk(300, 450)).is_err());
        assert!(Risk::new(400, 0, 40, 20).is_err() && Risk::new(0, 0, 39, 20).is_err());
    }

    /// Draws neighbourhoods by chance, with risks large enough to be seen: the exact tails must agree.
    #[test]
    fn tails_are_those_of_drawn_neighbours() {
        let (members, marked, degree, x) = (60, 20, 12, 7);
        let mut state = 1_u64;
        let mut random = move |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let draws = 40_000;
        let mut hits = 0;
        for _ in 0..draws {
            let mut others: Vec<usize> = (0..members - 1).collect();
            let taken = (0..degree).filter(|_| others.swap_remove(random(others.len())) < marked).count();
            hits += usize::from(taken >= x);
        }
        let expected = Chances::new(members).at_least(marked, degree, x).exp2() * draws as f64;
        // Six standard deviations: a false alarm in a billion.
        assert!((hits as f64 - expected).abs() < 6.0 * expected.sqrt(), "{hits} {expected}");
    }

    proptest! {
        #[test]
        fn what_is_derived_keeps_its_promises(n in 3_usize..1500, corrupt in 0_u32..200, dropout in 0_u32..200) {
            let risk = risk(corrupt, dropout);
            let Ok(p) = Parameters::derive(n, &risk) else { return Ok(()) };
            let (c, d) = (risk.corrupt(n), risk.dropouts(n));
            prop_assert!(p.threshold() >= 1 && p.threshold() <= p.degree() && p.degree() < n);
            prop_assert!(2 * p.quorum() > n + c && n - d >= p.quorum());
            let chances = Chances::new(n);
            let each = (n as f64).log2();
            prop_assert!(chances.at_least(c, p.degree(), p.threshold()) <= -40.0 - each);
            if p.degree() + 1 < n {
                let half = p.degree() / 2;
                prop_assert!(chances.at_least(c, half, p.threshold() - half) <= -41.0 - each);
            }
            prop_assert!(chances.at_least(d, p.degree(), p.degree() + 1 - p.threshold()) <= -20.0 - each);
        }
    }
}
