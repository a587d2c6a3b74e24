//! The ledger: what order things become durable in.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};

use super::account::{Accounts, Standing};
use super::chain::{ChainKey, FORMAT, Head, MAX_FRAME, Payload, Record, explain_unreadable, scan};
use super::counter::{Mark, MonotonicCounter};
use super::error::{BudgetError, Damage, Refusal};
use super::policy::{Day, LineageId, SignedPolicy};
use super::secret::DeviceSecret;
use super::statement::{RoundState, Statement, Trust};
use crate::secagg::Demands;
use crate::signing::VerifyingKey;
use crate::storage::{Storage, put};
use crate::{ClipNorm, CohortSize, NoiseMultiplier, Rho, RoundId};

/// The file of records.
pub(super) const LOG: &str = "ledger";
/// The greatest length of that file, bytes: some 150,000 rounds.
pub(super) const MAX_LOG: u64 = 64 << 20;
/// The greatest payload, bytes: four million parameters.
const MAX_PAYLOAD: u64 = 16 << 20;
/// What the names of payloads begin with.
const PAYLOAD: &str = "payload-";
const FULL: Refusal = Refusal::Full { bytes: MAX_LOG };

/// What taking part in a round means, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    /// The round.
    pub round: RoundId,
    /// The model that learns.
    pub lineage: LineageId,
    /// The cost in rho: at least [`NoiseMultiplier::cost`] of the noise.
    pub cost: Rho,
    /// The noise multiplier z of the sum.
    pub noise: NoiseMultiplier,
    /// The clip norm C.
    pub clip: ClipNorm,
    /// The smallest number of sites that the sum may be over.
    pub cohort: CohortSize,
}

/// How a round goes on.
#[derive(Debug)]
pub enum Grant {
    /// The cost is spent and nothing has left: compute the payload, with fresh noise, and seal it.
    Reserved(Reservation),
    /// The payload was sealed before: these bytes and no others.
    Released(Release),
}

/// The durable right to compute one round's payload.
#[derive(Debug)]
pub struct Reservation {
    terms: Terms,
    demands: Demands,
}

impl Reservation {
    /// What was reserved.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What the owner's policy demands of the masks.
    pub const fn demands(&self) -> &Demands {
        &self.demands
    }
}

/// One round's payload, durable as it is: what may leave the device. Only the ledger makes one.
pub struct Release {
    terms: Terms,
    payload: Vec<u8>,
}

impl Release {
    /// What it was reserved as.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The bytes to send.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl std::fmt::Debug for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Release").field("terms", &self.terms).field("bytes", &self.payload.len()).finish()
    }
}

/// A device's budget ledger; see the [module's page](super).
pub struct Ledger<S, C> {
    storage: S,
    counter: C,
    key: ChainKey,
    head: Head,
    /// The length of the log.
    end: u64,
    accounts: Accounts,
    /// False while and after an operation whose outcome on the disk is not known.
    sound: bool,
}

impl<S: Storage, C: MonotonicCounter> Ledger<S, C> {
    /// Makes a device's ledger, once, when it is enrolled. `owner` is the key that this and all later policies are
    /// signed with. After a power cut, [`open`](Self::open) tells whether it was made.
    ///
    /// # Errors
    /// There is a ledger, a counter that has counted, or a payload; the policy does not count; or the storage failed.
    pub fn create(
        mut storage: S,
        mut counter: C,
        secret: &DeviceSecret,
        owner: &VerifyingKey,
        policy: SignedPolicy,
    ) -> Result<Self, BudgetError> {
        let log = storage.read(LOG, MAX_LOG).map_err(failed("read its file"))?;
        let names = storage.list().map_err(failed("list its folder"))?;
        if log.is_some() || names.iter().any(|name| name.starts_with(PAYLOAD)) {
            return Err(BudgetError::Exists);
        }
        let Mark { count, .. } = counter.read().map_err(failed("read the counter"))?;
        if count > 0 {
            return Err(Damage::Missing { counter: count }.into());
        }
        policy.verify(owner)?;
        let key = ChainKey::new(secret);
        let record = Record::Genesis { format: FORMAT, device: secret.fingerprint(), owner: owner.to_bytes(), policy };
        let accounts = Accounts::replay(std::slice::from_ref(&record))?;
        let (frame, head) = key.frame(Head::default(), record).ok_or(FULL)?;
        put(&mut storage, LOG, &frame).map_err(failed("write its first record"))?;
        count_to(&mut counter, head)?;
        Ok(Self { storage, counter, key, head, end: frame.len() as u64, accounts, sound: true })
    }

    /// Opens a device's ledger and finishes what a power cut interrupted.
    ///
    /// # Errors
    /// [`BudgetError::NotCreated`], [`BudgetError::Exhausted`] or [`BudgetError::Storage`]. None of them changes what
    /// is spent.
    pub fn open(mut storage: S, mut counter: C, secret: &DeviceSecret) -> Result<Self, BudgetError> {
        let Mark { count, head: anchor } = counter.read().map_err(failed("read the counter"))?;
        let log = storage.read(LOG, MAX_LOG).map_err(failed("read its file"))?;
        let log = match log {
            Some(log) => log,
            None if count == 0 => return Err(BudgetError::NotCreated),
            None => return Err(Damage::Missing { counter: count }.into()),
        };
        let key = ChainKey::new(secret);
        let scan = scan(&log, Some(&key));
        if scan.records.is_empty() {
            explain_unreadable(&log, secret)?;
        }
        let readable = scan.head.count;
        if readable < count {
            return Err(Damage::Lost { counter: count, readable }.into());
        }
        if readable > count.saturating_add(1) {
            return Err(Damage::Counter { counter: count, readable }.into());
        }
        let counted = if readable > count { scan.before } else { scan.head };
        if count > 0 && anchor.is_some_and(|anchor| anchor != counted.hash) {
            return Err(Damage::Replaced { number: count }.into());
        }
        let tail = log.len().saturating_sub(scan.end);
        if tail > MAX_FRAME {
            return Err(Damage::Tail { bytes: tail }.into());
        }
        let accounts = Accounts::replay(&scan.records)?;

        let unfinished = failed("finish what was interrupted");
        // An earlier start may have given the file its name and failed to make that durable.
        storage.sync_dir().map_err(unfinished)?;
        let sound = log.get(..scan.end).unwrap_or_default();
        if tail > 0 || readable > count {
            // What follows the records was never acknowledged. And a last record that is not counted may stand in the
            // system's cache alone, after a sync that failed: only what is written anew is made durable by the next.
            put(&mut storage, LOG, sound).map_err(unfinished)?;
        }
        if readable > count {
            count_to(&mut counter, scan.head)?;
        }
        let end = sound.len() as u64;
        let mut ledger = Self { storage, counter, key, head: scan.head, end, accounts, sound: true };
        ledger.remove_strays().map_err(failed("remove what was interrupted"))?;
        Ok(ledger)
    }

    /// Whether [`reserve`](Self::reserve) would let the device take part, without spending anything: to be asked before a
    /// round is begun.
    ///
    /// # Errors
    /// [`BudgetError::Refused`]; [`BudgetError::Reopen`].
    pub fn allows(&self, terms: &Terms, today: Day) -> Result<(), BudgetError> {
        self.check_sound()?;
        self.accounts.standing(terms, today)?;
        Ok(())
    }

    /// Takes part in a round: spends its cost, or goes on where it was left. `today` is the clock's day.
    ///
    /// # Errors
    /// [`BudgetError::Refused`], without any effect; [`BudgetError::Storage`].
    pub fn reserve(&mut self, terms: Terms, today: Day) -> Result<Grant, BudgetError> {
        self.check_sound()?;
        match self.accounts.standing(&terms, today)? {
            Standing::New(day) => self.append(Record::Reserve { day, terms })?,
            Standing::Reserved => {}
            Standing::Sealed(payload) => return self.load(terms, payload).map(Grant::Released),
        }
        Ok(Grant::Reserved(Reservation { terms, demands: self.accounts.policy.demands }))
    }

    /// Makes a round's payload durable and hands it back to be sent.
    ///
    /// # Errors
    /// [`BudgetError::Refused`] if it was sealed before or the policy has changed; [`BudgetError::Storage`]. The cost
    /// stays spent, and unless the round is sealed it may be reserved again and another payload computed.
    pub fn seal(&mut self, reservation: Reservation, payload: Vec<u8>) -> Result<Release, BudgetError> {
        self.check_sound()?;
        let Reservation { terms, .. } = reservation;
        let round = terms.round;
        // The reservation may be from another ledger, or one of two for the same round.
        let reserved = self.accounts.rounds.get(&round).filter(|reserved| reserved.terms == terms);
        let reserved = reserved.ok_or(Refusal::NotReserved(round))?;
        match reserved.state {
            RoundState::Reserved => self.accounts.still_permits(reserved)?,
            RoundState::Sealed(_) => return Err(Refusal::Sealed(round).into()),
            RoundState::Forgotten(_) => return Err(Refusal::Forgotten(round).into()),
        }
        let bytes = payload.len() as u64;
        if bytes > MAX_PAYLOAD {
            return Err(Refusal::PayloadTooLarge { bytes, most: MAX_PAYLOAD }.into());
        }
        put(&mut self.storage, &payload_name(round), &payload).map_err(failed("keep a payload"))?;
        self.append(Record::Sealed { round, payload: Payload::of(&payload) })?;
        Ok(Release { terms, payload })
    }

    /// Ends a round and drops its payload, when the server has acknowledged it or the round has failed. The cost stays
    /// spent and the round is never taken part in again.
    ///
    /// # Errors
    /// The round was never reserved; [`BudgetError::Storage`].
    pub fn forget(&mut self, round: RoundId) -> Result<(), BudgetError> {
        self.check_sound()?;
        match self.accounts.rounds.get(&round).map(|round| round.state) {
            None => return Err(Refusal::NotReserved(round).into()),
            Some(RoundState::Forgotten(_)) => {}
            Some(_) => self.append(Record::Forgotten { round })?,
        }
        // After the record: a payload without one is a stray, a record without one would be damage.
        self.storage.remove(&payload_name(round)).map_err(failed("remove a payload"))
    }

    /// Puts another policy in place. Lower limits hold at once, also for rounds that are reserved; higher ones refund
    /// nothing.
    ///
    /// # Errors
    /// [`BudgetError::Policy`]; [`BudgetError::Storage`].
    pub fn set_policy(&mut self, policy: SignedPolicy) -> Result<(), BudgetError> {
        self.check_sound()?;
        self.accounts.newer(&policy)?;
        self.append(Record::Policy { policy })
    }

    /// What was spent on what, as far as is known to be durable.
    pub fn explain(&self) -> Statement {
        Statement::of(&self.accounts, Trust::Verified(self.counter.protection()))
    }

    fn check_sound(&self) -> Result<(), BudgetError> {
        if self.sound { Ok(()) } else { Err(BudgetError::Reopen) }
    }

    /// Writes a record, syncs, counts, and only then believes it.
    fn append(&mut self, record: Record) -> Result<(), BudgetError> {
        let (frame, head) = self.key.frame(self.head, record.clone()).ok_or(FULL)?;
        let end = self.end.saturating_add(frame.len() as u64);
        if end > MAX_LOG {
            return Err(FULL.into());
        }
        self.sound = false;
        let written = self.storage.write(LOG, self.end, &frame).and_then(|()| self.storage.sync(LOG));
        written.map_err(failed("write a record"))?;
        count_to(&mut self.counter, head)?;
        let contradiction = |what| Damage::Contradiction { number: head.count, what };
        self.accounts.apply(&record).map_err(contradiction)?;
        (self.head, self.end, self.sound) = (head, end, true);
        Ok(())
    }

    /// A sealed payload as it was.
    fn load(&self, terms: Terms, payload: Payload) -> Result<Release, BudgetError> {
        let bytes = match self.storage.read(&payload_name(terms.round), MAX_PAYLOAD) {
            Ok(bytes) => bytes.filter(|bytes| Payload::of(bytes) == payload),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => None,
            Err(error) => return Err(failed("read a payload")(error)),
        };
        let payload = bytes.ok_or(Refusal::PayloadLost(terms.round))?;
        Ok(Release { terms, payload })
    }

    /// Removes payloads that were not sealed, or forgotten, when the power failed.
    fn remove_strays(&mut self) -> std::io::Result<()> {
        let rounds = self.accounts.rounds.values();
        let sealed = rounds.filter(|round| matches!(round.state, RoundState::Sealed(_)));
        let kept: BTreeSet<String> = sealed.map(|round| payload_name(round.terms.round)).collect();
        let mut names = self.storage.list()?;
        names.retain(|name| name.starts_with(PAYLOAD) && !kept.contains(name));
        names.iter().try_for_each(|name| self.storage.remove(name))
    }
}

impl<S, C> std::fmt::Debug for Ledger<S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("records", &self.head.count).finish_non_exhaustive()
    }
}

fn count_to(counter: &mut impl MonotonicCounter, head: Head) -> Result<(), BudgetError> {
    let counted = counter.advance(head.hash).map_err(failed("advance the counter"))?;
    let damage = Damage::Counter { counter: counted, readable: head.count };
    if counted == head.count { Ok(()) } else { Err(damage.into()) }
}

fn failed(doing: &'static str) -> impl Fn(std::io::Error) -> BudgetError + Copy {
    move |source| BudgetError::Storage { doing, source }
}

fn payload_name(round: RoundId) -> String {
    format!("{PAYLOAD}{}-{}", round.task(), round.number())
}
