//! What an attack gave: rows of one table, for terminals, Markdown and JSON.

use serde::Serialize;

use super::stats::Estimate;

/// What is expected of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Volet's own output: the attack must do no better than chance.
    Volet,
    /// An ordinary redaction that is known to be weak: the attack must succeed, or it proves nothing.
    Planted,
    /// What remains on purpose, and second figures of planted faults: nothing is demanded.
    Shown,
}

impl Role {
    /// The same, but of a planted fault nothing is demanded.
    pub(crate) fn at_most_shown(self) -> Self {
        if self == Self::Volet { self } else { Self::Shown }
    }
}

/// One attack on one kind of redaction.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) attack: String,
    pub(crate) against: String,
    pub(crate) role: Role,
    /// What the numbers are.
    pub(crate) measure: &'static str,
    pub(crate) value: f64,
    /// 95 % interval; absent where the figure is a count.
    pub(crate) interval: Option<[f64; 2]>,
    /// What guessing gives.
    pub(crate) chance: f64,
    pub(crate) succeeded: bool,
}

impl Row {
    pub(crate) fn new(
        attack: impl Into<String>,
        against: impl Into<String>,
        role: Role,
        measure: &'static str,
        estimate: Estimate,
        chance: f64,
    ) -> Self {
        Self {
            attack: attack.into(),
            against: against.into(),
            role,
            measure,
            value: estimate.value,
            interval: Some([estimate.low, estimate.high]),
            chance,
            succeeded: estimate.above_chance,
        }
    }

    /// A count that must be 0 if nothing is left.
    pub(crate) fn count(
        attack: impl Into<String>,
        against: impl Into<String>,
        role: Role,
        measure: &'static str,
        count: usize,
    ) -> Self {
        let (attack, against, value) = (attack.into(), against.into(), count as f64);
        Self { attack, against, role, measure, value, interval: None, chance: 0.0, succeeded: count > 0 }
    }

    /// Whether the attack went as it has to.
    pub(crate) fn is_as_expected(&self) -> bool {
        match self.role {
            Role::Volet => !self.succeeded,
            Role::Planted => self.succeeded,
            Role::Shown => true,
        }
    }

    fn cells(&self) -> [String; 6] {
        let number = |v: f64| if self.interval.is_none() { format!("{v:.0}") } else { format!("{v:.3}") };
        let interval = self.interval.map_or(String::new(), |[low, high]| format!("{low:.3} to {high:.3}"));
        let verdict = match (self.role, self.succeeded, self.is_as_expected()) {
            (Role::Shown, true, _) => "succeeds (shown)",
            (_, true, true) => "succeeds (planted)",
            (_, false, true) => "fails",
            (_, true, false) => "SUCCEEDS",
            (_, false, false) => "TOO WEAK",
        };
        let value = format!("{} {}", self.measure, number(self.value));
        [self.attack.clone(), self.against.clone(), value, interval, number(self.chance), verdict.into()]
    }
}

const HEAD: [&str; 6] = ["attack", "against", "result", "95 % interval", "chance", "the attack"];

/// A table for terminals.
pub(crate) fn plain(rows: &[Row]) -> String {
    let cells: Vec<[String; 6]> = std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    let widths: [usize; 6] = std::array::from_fn(|c| cells.iter().map(|r| r[c].chars().count()).max().unwrap_or(0));
    let line = |r: &[String; 6]| (0..6).map(|c| format!("{:<w$}  ", r[c], w = widths[c])).collect::<String>();
    cells.iter().map(|r| line(r).trim_end().to_owned() + "\n").collect()
}

/// The same in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let line = |cells: &[String; 6]| format!("| {} |\n", cells.join(" | "));
    let head = line(&HEAD.map(str::to_owned)) + &line(&HEAD.map(|_| "---".to_owned()));
    rows.iter().fold(head, |text, row| text + &line(&row.cells()))
}
