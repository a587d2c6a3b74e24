//! What stands between a noised update and the wire: it fits the terms, and the ledger keeps the very bytes.

use prost::Message;

use super::Refusal;
use super::terms::Terms;
use crate::budget::{BudgetError, Ledger, MonotonicCounter, Release, Reservation};
use crate::mechanism::Noised;
use crate::storage::Storage;

/// A masked message that the ledger has not sealed yet. It comes out by being sealed, and in no other way.
#[derive(Debug)]
pub struct Unsealed<M> {
    message: M,
    reservation: Reservation,
}

impl<M: Message + Default> Unsealed<M> {
    pub(super) fn new(message: M, reservation: Reservation) -> Self {
        Self { message, reservation }
    }

    /// Makes the message durable and gives it out. A device that sends it again after a restart gets the same bytes from
    /// [`Ledger::reserve`], and reads them by [`sealed`].
    ///
    /// # Errors
    /// The ledger's: see [`Ledger::seal`].
    pub fn seal<S: Storage, C: MonotonicCounter>(self, ledger: &mut Ledger<S, C>) -> Result<M, BudgetError> {
        ledger.seal(self.reservation, self.message.encode_to_vec())?;
        Ok(self.message)
    }
}

/// The message that a ledger released: that of the round's first time. `None` where the ledger holds another kind.
pub fn sealed<M: Message + Default>(release: &Release) -> Option<M> {
    M::decode(release.payload()).ok()
}

/// The values of a noised update for a round of `members` sites, where the terms keep what its noise reckons with.
pub(super) fn residues(noised: Noised, terms: &Terms, members: usize) -> Result<(Vec<u32>, Reservation), Refusal> {
    let Noised { values, corrupt, reservation } = noised;
    let reserved = reservation.terms();
    if reserved.round != terms.round() {
        return Err(Refusal::OtherRound);
    }
    // Whatever the round was begun with, the policy that pays for it has the last word.
    reservation.demands().check(terms)?;
    if terms.minimum() < reserved.cohort {
        let (have, need) = (terms.minimum().get() as usize, reserved.cohort.get() as usize);
        return Err(Refusal::TooFew { what: "sites in the smallest sum, for the noise of a share", have, need });
    }
    // Whoever colludes tells the server its noise: no more of them than the share was sized for.
    let colluding = terms.risk().corrupt(members);
    if colluding > corrupt as usize {
        return Err(Refusal::Colluding { terms: colluding, noise: corrupt });
    }
    let (have, need) = (values.len(), terms.dimension());
    if have != need {
        return Err(Refusal::Length { have, need });
    }
    Ok((values.into_iter().map(|v| v as u32).collect(), reservation))
}
