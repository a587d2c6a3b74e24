//! The machine and its log, moved together.

use std::collections::BTreeMap;
use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use prost::Message;
use volet_proto::v1;

use super::Journal;
use super::plan::{Kind, Plan, Time, Written};
use crate::secagg::{Abort, Delivery, Rejected, SecureSum, Sum, ToServer, ToSite, packed_len};

/// Why a round cannot go on here.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum RoundError {
    #[error("the round's log cannot be written or read: {0}. Make room, or mend the disk, and open the round again")]
    Io(#[from] io::Error),
    #[error("the round's log failed earlier: open the round again")]
    Failed,
    #[error("there is a round here already: resume that one")]
    Exists,
    #[error(
        "the log's record {0} is of another version of Volet, or none: finish the round with the version that began it"
    )]
    Foreign(u64),
}

/// A message was taken. Its sender may be told so after [`Round::commit`], and not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Receipt {
    /// For the first time.
    Taken,
    /// Again: whoever sends a message twice missed the answer to the first.
    Known,
}

/// How a round ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a sum.
    Sum(Sum),
    /// Without one, for good.
    Failed(Abort),
}

#[derive(BorshSerialize, BorshDeserialize)]
enum Record {
    Opened { plan: Written, at: Time },
    Received { from: [u8; 32], message: Vec<u8> },
    Advanced { at: Time },
}

/// A round at the server, or one shard of it, durable.
pub struct Round<J> {
    plan: Plan,
    journal: J,
    state: State,
    failed: bool,
}

/// What follows from the log.
struct State {
    machine: Box<dyn SecureSum + Send>,
    /// Hashes of what was taken, by sender and kind: each says each thing once.
    taken: BTreeMap<([u8; 32], u8), [u8; 32]>,
    /// What each site is told at this step.
    outbox: Outbox,
    steps: u32,
    entered: Time,
    outcome: Option<Outcome>,
}

enum Outbox {
    Same(Vec<[u8; 32]>, ToSite),
    Each(BTreeMap<[u8; 32], ToSite>),
}

impl<J: Journal> Round<J> {
    /// Begins a round where there is none; durable at return.
    ///
    /// # Errors
    /// [`RoundError::Exists`], [`RoundError::Io`].
    pub fn begin(place: J::Place, plan: Plan, now: Time) -> Result<Self, RoundError> {
        let mut records = 0_u64;
        let journal = J::open(place, &mut |_| {
            records += 1;
            Ok(())
        })?;
        if records > 0 {
            return Err(RoundError::Exists);
        }
        let mut round = Self { state: State::new(&plan, now), plan, journal, failed: false };
        round.write(&Record::Opened { plan: plan.write(), at: now })?;
        round.commit()?;
        Ok(round)
    }

    /// Goes on with the round in this place, exactly where its journal ends; `None` if none was begun. Its present step has all
    /// its time again: how long nobody could be heard is not known.
    ///
    /// # Errors
    /// [`RoundError::Foreign`], [`RoundError::Io`].
    pub fn resume(place: J::Place, now: Time) -> Result<Option<Self>, RoundError> {
        let mut replayed: Option<(Plan, State)> = None;
        let mut number = 0_u64;
        let journal = J::open(place, &mut |record| {
            number += 1;
            replay(&mut replayed, record).ok_or(io::ErrorKind::InvalidData.into())
        });
        match journal {
            Ok(journal) => Ok(replayed.map(|(plan, state)| {
                let state = State { entered: now, ..state };
                Self { plan, journal, state, failed: false }
            })),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(RoundError::Foreign(number)),
            Err(error) => Err(error.into()),
        }
    }

    /// What the round is.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes a message of `from`, whom transport has authenticated.
    ///
    /// # Errors
    /// The outer one: the log fails, and so does the round here until it is opened again. The inner one: the message makes
    /// no sense at this step, and nothing has changed.
    pub fn receive(
        &mut self,
        from: [u8; 32],
        message: v1::SiteMessage,
    ) -> Result<Result<Receipt, Rejected>, RoundError> {
        if self.failed {
            return Err(RoundError::Failed);
        }
        let bytes = message.encode_to_vec();
        // Before the machine moves: what is too long to be logged must not be taken either.
        if bytes.len() > self.longest() {
            return Ok(Err(Rejected::Malformed));
        }
        match self.state.receive(from, message, &bytes) {
            Ok(Receipt::Taken) => {
                self.write(&Record::Received { from, message: bytes })?;
                Ok(Ok(Receipt::Taken))
            }
            other => Ok(other),
        }
    }

    /// Makes all that was taken durable: one sync for many messages.
    ///
    /// # Errors
    /// [`RoundError::Io`], [`RoundError::Failed`].
    pub fn commit(&mut self) -> Result<(), RoundError> {
        if self.failed {
            return Err(RoundError::Failed);
        }
        self.journal.sync().inspect_err(|_| self.failed = true)?;
        Ok(())
    }

    /// Ends steps that are complete, or have lasted long enough; durable at return. The clock must not be set while a round
    /// goes on.
    ///
    /// # Errors
    /// [`RoundError::Io`], [`RoundError::Failed`].
    pub fn tick(&mut self, now: Time) -> Result<(), RoundError> {
        while self.state.outcome.is_none() && (self.state.machine.waiting_for() == 0 || self.is_due(now)) {
            self.write(&Record::Advanced { at: now })?;
            self.commit()?;
            self.state.advance(now);
        }
        Ok(())
    }

    /// When the present step ends at the latest.
    pub fn due(&self) -> Time {
        let patience = self.plan.patience;
        self.state.entered.after(if self.state.steps == 0 { patience.gather } else { patience.step })
    }

    fn is_due(&self, now: Time) -> bool {
        let gathered = (self.plan.most as usize).saturating_sub(self.state.machine.waiting_for());
        let enough = gathered >= self.plan.terms.minimum().get() as usize;
        now >= self.due() && (self.state.steps > 0 || enough || !self.plan.patience.insist)
    }

    /// The longest message that can make sense now, bytes: one of the present step, or of one before, said again.
    pub fn longest(&self) -> usize {
        let most = self.plan.most as usize;
        let vector = packed_len(self.plan.terms.dimension(), self.plan.terms.modulus());
        let rest = match (self.plan.kind, self.state.steps) {
            (Kind::SecAgg, 0) => 0,
            (Kind::SecAgg, 1) => 256 * most,
            (Kind::SecAgg, _) => vector.max(256 * most),
            (Kind::Split(_), _) => vector,
        };
        rest + 1024
    }

    /// How many steps have ended.
    pub fn steps(&self) -> u32 {
        self.state.steps
    }

    /// How many more messages the present step could take.
    pub fn waiting_for(&self) -> usize {
        self.state.machine.waiting_for()
    }

    /// What a site, or the helper, is told at this step; and whether all are told the same.
    pub fn message_for(&self, site: &[u8; 32]) -> Option<(&ToSite, bool)> {
        match &self.state.outbox {
            Outbox::Same(to, message) => to.binary_search(site).ok().map(|_| (message, true)),
            Outbox::Each(each) => each.get(site).map(|message| (message, false)),
        }
    }

    /// How the round ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.state.outcome.as_ref()
    }

    /// Whether this site has said anything that was taken, or is the helper.
    pub fn knows(&self, site: &[u8; 32]) -> bool {
        let helps = matches!(self.plan.kind, Kind::Split(keys) if keys.identity == *site);
        helps || self.state.taken.range((*site, 0)..=(*site, u8::MAX)).next().is_some()
    }

    /// The sites that have said that they take part.
    pub fn members(&self) -> impl Iterator<Item = [u8; 32]> {
        self.state.taken.keys().filter(|(_, kind)| [ADVERTISEMENT, REPORT].contains(kind)).map(|(site, _)| *site)
    }

    /// How many they are.
    pub fn sites(&self) -> usize {
        self.members().count()
    }

    /// Removes the round's journal, once its outcome is kept elsewhere.
    ///
    /// # Errors
    /// [`RoundError::Io`].
    pub fn remove(self) -> Result<(), RoundError> {
        Ok(self.journal.remove()?)
    }

    fn write(&mut self, record: &Record) -> Result<(), RoundError> {
        if self.failed {
            return Err(RoundError::Failed);
        }
        let write = borsh::to_vec(record).and_then(|record| self.journal.append(&record));
        // The machine may be ahead of the log now: only reading the log again mends that.
        write.inspect_err(|_| self.failed = true)?;
        Ok(())
    }
}

/// Applies one record; `None` where it cannot follow.
fn replay(replayed: &mut Option<(Plan, State)>, record: &[u8]) -> Option<()> {
    match (replayed.as_mut(), borsh::from_slice(record).ok()?) {
        (None, Record::Opened { plan, at }) => {
            let plan = plan.read()?;
            *replayed = Some((plan, State::new(&plan, at)));
        }
        (Some((_, state)), Record::Received { from, message }) => {
            let read = v1::SiteMessage::decode(message.as_slice()).ok()?;
            let _ = state.receive(from, read, &message).ok().filter(|receipt| *receipt == Receipt::Taken)?;
        }
        (Some((_, state)), Record::Advanced { at }) if state.outcome.is_none() => state.advance(at),
        _ => return None,
    }
    Some(())
}

impl State {
    fn new(plan: &Plan, now: Time) -> Self {
        let outbox = Outbox::Each(BTreeMap::new());
        Self { machine: plan.start(), taken: BTreeMap::new(), outbox, steps: 0, entered: now, outcome: None }
    }

    fn receive(&mut self, from: [u8; 32], message: v1::SiteMessage, bytes: &[u8]) -> Result<Receipt, Rejected> {
        let message = ToServer::read(message).ok_or(Rejected::Malformed)?;
        let (kind, hash) = ((from, kind(&message)), *blake3::hash(bytes).as_bytes());
        if self.taken.get(&kind) == Some(&hash) {
            return Ok(Receipt::Known);
        }
        self.machine.receive(&from, message)?;
        self.taken.insert(kind, hash);
        Ok(Receipt::Taken)
    }

    fn advance(&mut self, at: Time) {
        self.outbox = Outbox::Each(BTreeMap::new());
        match self.machine.advance() {
            Ok(Delivery::Same { mut to, message }) => {
                to.sort_unstable();
                self.outbox = Outbox::Same(to, message);
            }
            Ok(Delivery::Each(each)) => self.outbox = Outbox::Each(each.into_iter().collect()),
            Ok(Delivery::Sum(sum)) => self.outcome = Some(Outcome::Sum(sum)),
            Err(abort) => self.outcome = Some(Outcome::Failed(abort)),
        }
        self.steps += 1;
        self.entered = at;
    }
}

const ADVERTISEMENT: u8 = 0;
const REPORT: u8 = 5;

fn kind(message: &ToServer) -> u8 {
    match message {
        ToServer::Advertisement(_) => ADVERTISEMENT,
        ToServer::Shares(_) => 1,
        ToServer::Masked(_) => 2,
        ToServer::Signature(_) => 3,
        ToServer::Reveal(_) => 4,
        ToServer::Split(_) => REPORT,
        ToServer::MaskSum(_) => 6,
    }
}
