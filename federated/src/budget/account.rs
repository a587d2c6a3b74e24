//! What was spent, read from the records in order, and what a policy says to more. Knows no files.

use std::collections::BTreeMap;

use super::chain::{FORMAT, Payload, Record};
use super::error::{Damage, LimitKind, Refusal};
use super::ledger::Terms;
use super::policy::{Day, LineageId, Policy, PolicyError, Scope, SignedPolicy};
use super::statement::{RoundState, RoundStatement};
use crate::signing::VerifyingKey;
use crate::{Rho, RoundId};

/// The sums of all records so far.
pub(super) struct Accounts {
    pub(super) device: [u8; 32],
    pub(super) owner: VerifyingKey,
    pub(super) policy: Policy,
    pub(super) lifetime: Rho,
    pub(super) days: BTreeMap<Day, Rho>,
    pub(super) lineages: BTreeMap<LineageId, Rho>,
    pub(super) rounds: BTreeMap<RoundId, RoundStatement>,
}

/// How a round stands that may be taken part in.
pub(super) enum Standing {
    /// Not reserved yet; it would count for this day.
    New(Day),
    Reserved,
    Sealed(Payload),
}

impl Accounts {
    /// Adds up all records of a ledger.
    pub(super) fn replay(records: &[Record]) -> Result<Self, Damage> {
        let Some((first, rest)) = records.split_first() else {
            return Err(Damage::Contradiction { number: 1, what: "there is no first record" });
        };
        let contradiction = |number| move |what| Damage::Contradiction { number, what };
        let mut accounts = Self::first(first).map_err(contradiction(1))?;
        for (record, number) in rest.iter().zip(2..) {
            accounts.apply(record).map_err(contradiction(number))?;
        }
        Ok(accounts)
    }

    fn first(record: &Record) -> Result<Self, &'static str> {
        let Record::Genesis { format: FORMAT, device, owner, policy } = record else {
            return Err("the first is not one that begins a ledger");
        };
        let owner = VerifyingKey::from_bytes(owner).ok_or("the owner's key is none")?;
        let policy = policy.verify(&owner).map_err(|_| "the owner did not sign the policy")?;
        Ok(Self {
            device: *device,
            owner,
            policy,
            lifetime: Rho::ZERO,
            days: BTreeMap::new(),
            lineages: BTreeMap::new(),
            rounds: BTreeMap::new(),
        })
    }

    /// Adds a record that follows those before. Limits are not checked again: they were when it was written, and a
    /// policy that came later may be stricter.
    pub(super) fn apply(&mut self, record: &Record) -> Result<(), &'static str> {
        match record {
            Record::Genesis { .. } => return Err("a ledger begins twice"),
            Record::Policy { policy } => self.policy = self.newer(policy).map_err(|_| "a policy does not follow")?,
            Record::Reserve { day, terms } => self.spend(*day, terms)?,
            Record::Sealed { round, payload } => match self.rounds.get_mut(round).map(|round| &mut round.state) {
                Some(state @ RoundState::Reserved) => *state = RoundState::Sealed(*payload),
                _ => return Err("a payload's round is not reserved or sealed twice"),
            },
            Record::Forgotten { round } => match self.rounds.get_mut(round).map(|round| &mut round.state) {
                Some(state @ RoundState::Reserved) => *state = RoundState::Forgotten(None),
                Some(state @ RoundState::Sealed(_)) => *state = RoundState::Forgotten(state.payload()),
                _ => return Err("a forgotten round is not reserved or forgotten twice"),
            },
        }
        Ok(())
    }

    fn spend(&mut self, day: Day, terms: &Terms) -> Result<(), &'static str> {
        if day < self.last_day() {
            return Err("a reservation is of a day before the last");
        }
        if self.rounds.contains_key(&terms.round) {
            return Err("a round is reserved twice");
        }
        let and_cost = |spent: Rho| spent.checked_add(terms.cost).ok_or("more is spent than can be");
        // All sums before any change, so that an error leaves none half done.
        let lifetime = and_cost(self.lifetime)?;
        let of_day = and_cost(self.on(day))?;
        let of_lineage = and_cost(self.on_lineage(terms.lineage))?;
        self.lifetime = lifetime;
        self.days.insert(day, of_day);
        self.lineages.insert(terms.lineage, of_lineage);
        self.rounds.insert(terms.round, RoundStatement { terms: *terms, day, state: RoundState::Reserved });
        Ok(())
    }

    /// The policy, if it may follow the present one.
    pub(super) fn newer(&self, signed: &SignedPolicy) -> Result<Policy, PolicyError> {
        let policy = signed.verify(&self.owner)?;
        let (offered, present) = (policy.version, self.policy.version);
        if offered > present { Ok(policy) } else { Err(PolicyError::Version { offered, present }) }
    }

    /// Whether and how a round may be taken part in on a day.
    pub(super) fn standing(&self, terms: &Terms, today: Day) -> Result<Standing, Refusal> {
        let last = self.policy.last_day;
        if today > last {
            return Err(Refusal::Ended { today, last });
        }
        let Some(round) = self.rounds.get(&terms.round) else {
            let least = terms.noise.cost()?;
            if terms.cost < least {
                return Err(Refusal::TooCheap { cost: terms.cost, least });
            }
            // A clock that was set back goes on spending the last day's budget.
            let day = today.max(self.last_day());
            self.permits(terms, day, terms.cost)?;
            return Ok(Standing::New(day));
        };
        if round.terms != *terms {
            return Err(Refusal::Changed(terms.round));
        }
        self.still_permits(round)?;
        match round.state {
            RoundState::Reserved => Ok(Standing::Reserved),
            RoundState::Sealed(payload) => Ok(Standing::Sealed(payload)),
            RoundState::Forgotten(_) => Err(Refusal::Forgotten(terms.round)),
        }
    }

    /// Whether a policy that may have come after the reservation lets the round go on.
    pub(super) fn still_permits(&self, round: &RoundStatement) -> Result<(), Refusal> {
        self.permits(&round.terms, round.day, Rho::ZERO)
    }

    /// Whether the policy allows these terms, and `more` to be spent on them.
    fn permits(&self, terms: &Terms, day: Day, more: Rho) -> Result<(), Refusal> {
        let Policy { limits, max_clip, demands, scope, .. } = &self.policy;
        let Terms { round, lineage, cost, cohort, clip, .. } = *terms;
        let allowed = match scope {
            Scope::Tasks(tasks) => tasks.contains(&round.task()),
            Scope::Lineages(lineages) => lineages.contains(&lineage),
        };
        if !allowed {
            return Err(Refusal::Scope { task: round.task(), lineage });
        }
        if cohort < demands.minimum {
            return Err(Refusal::Cohort { offered: cohort, least: demands.minimum });
        }
        if clip.get() > max_clip.get() {
            return Err(Refusal::Clip { offered: clip, most: *max_clip });
        }
        if cost > limits.round {
            return Err(Refusal::Over { round, limit: LimitKind::Round, cost, left: limits.round });
        }
        for (limit, most, spent) in [
            (LimitKind::Day(day), limits.day, self.on(day)),
            (LimitKind::Lineage(lineage), limits.lineage, self.on_lineage(lineage)),
            (LimitKind::Lifetime, limits.lifetime, self.lifetime),
        ] {
            let left = most.checked_sub(spent).ok_or(Refusal::Overdrawn { limit })?;
            if left < more {
                return Err(Refusal::Over { round, limit, cost, left });
            }
        }
        Ok(())
    }

    fn on(&self, day: Day) -> Rho {
        self.days.get(&day).copied().unwrap_or_default()
    }

    fn on_lineage(&self, lineage: LineageId) -> Rho {
        self.lineages.get(&lineage).copied().unwrap_or_default()
    }

    fn last_day(&self) -> Day {
        self.days.last_key_value().map(|(day, _)| *day).unwrap_or_default()
    }
}
