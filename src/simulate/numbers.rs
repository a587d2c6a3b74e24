//! Numbers within bounds, checked when they are made, wherever they come from: flags, a file, defaults.
//!
//! Knows bounds; nothing of what the numbers are for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The epsilon that is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NumberOrWord", into = "NumberOrWord")]
pub(crate) enum Target {
    /// No noise at all: what could be learned if nobody had to be protected.
    None,
    /// At most this.
    Epsilon(Positive),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NumberOrWord {
    Number(f64),
    Word(String),
}

impl TryFrom<NumberOrWord> for Target {
    type Error = String;

    fn try_from(given: NumberOrWord) -> Result<Self, String> {
        match given {
            NumberOrWord::Number(number) => Positive::try_from(number).map(Self::Epsilon),
            NumberOrWord::Word(word) => word.parse(),
        }
    }
}

impl From<Target> for NumberOrWord {
    fn from(target: Target) -> Self {
        match target {
            Target::None => Self::Word("none".to_owned()),
            Target::Epsilon(epsilon) => Self::Number(epsilon.get()),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            Ok(Self::None)
        } else {
            text.parse().map(Self::Epsilon).map_err(|e| format!("{e}, or none"))
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Epsilon(epsilon) => epsilon.fmt(f),
        }
    }
}

/// Numbers within bounds, checked when they are made, wherever they come from.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $bounds:literal, $good:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub(crate) struct $name(f64);

        impl $name {
            pub(crate) const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = String;

            fn try_from(number: f64) -> Result<Self, String> {
                let good: fn(f64) -> bool = $good;
                if good(number) { Ok(Self(number)) } else { Err(concat!("a number ", $bounds, " is needed").to_owned()) }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                text.parse().unwrap_or(f64::NAN).try_into()
            }
        }

        impl From<$name> for f64 {
            fn from(number: $name) -> f64 {
                number.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A share of which something is left.
    Share, "from 0 to below 1", |v| (0.0..1.0).contains(&v)
);
number!(
    /// A share that is not nothing.
    Portion, "above 0 and up to 1", |v| v > 0.0 && v <= 1.0
);
number!(
    /// A probability that is neither never nor always.
    Probability, "above 0 and below 1", |v| v > 0.0 && v < 1.0 && v.is_normal()
);
number!(
    /// A number that can be divided by.
    Positive, "above 0", |v| v > 0.0 && v.is_normal()
);

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub(crate) struct Between<const LOW: u32, const HIGH: u32>(u32);

/// How many sites there can be.
pub(crate) type Sites = Between<2, 10_000_000>;
/// How many of them a sum can have.
pub(crate) type Shard = Between<64, 512>;
/// How many rounds there can be.
pub(crate) type Rounds = Between<1, 100_000>;

impl<const LOW: u32, const HIGH: u32> Between<LOW, HIGH> {
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl<const LOW: u32, const HIGH: u32> TryFrom<i64> for Between<LOW, HIGH> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let good = u32::try_from(number).ok().filter(|number| (LOW..=HIGH).contains(number));
        good.map(Self).ok_or_else(|| format!("a whole number from {LOW} to {HIGH} is needed"))
    }
}

impl<const LOW: u32, const HIGH: u32> FromStr for Between<LOW, HIGH> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().unwrap_or(i64::MIN).try_into()
    }
}

impl<const LOW: u32, const HIGH: u32> From<Between<LOW, HIGH>> for i64 {
    fn from(number: Between<LOW, HIGH>) -> Self {
        number.0.into()
    }
}
