//! A site's part in one round that survives its process: the secret that all of its keys come from, and a log of what it was
//! told.
//!
//! The states of [`secagg`](crate::secagg) draw nothing but that secret, so that the log *is* the participation: read again, it
//! gives the same keys, the same shares and the same signatures. The vector itself is the budget ledger's to keep: it has one,
//! for good, and hands the same out again.
//!
//! What a site is told is in the log before it answers, so that it never answers two different messages at one step. Knows no
//! network and no clock. The log holds the round's secrets, and goes with the round.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use prost::Message;
use volet_proto::v1;

use crate::RoundId;
use crate::round::{Journal, Log};
use crate::secagg::{
    Advertised, Authority, Demands, Identity, Masked, Refusal, RoundSecret, Shared, Site, Terms, ToServer, ToSite,
};
use crate::signing::VerifyingKey;
use crate::storage::Storage;

/// Why a participation cannot begin, or go on, here.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ParticipationError {
    #[error("the participation's log cannot be written or read: {0}. Make room, or mend the disk, and resume it")]
    Io(#[from] io::Error),
    #[error("this site takes part in a round already: resume that one")]
    Exists,
    #[error(
        "the log is of another version of Volet, or none: remove it; the round is lost to this site, its cost spent"
    )]
    Foreign,
    #[error("this participation failed earlier: resume it from its folder")]
    Failed,
    #[error("this site takes no further part in the round: {0}")]
    Round(#[from] Refusal),
}

#[derive(BorshSerialize, BorshDeserialize)]
enum Record {
    Opened { terms: Vec<u8>, demands: Demands, authority: [u8; 32], secret: [u8; 32] },
    Heard { steps: u32, message: Vec<u8> },
}

/// A site's part in one round, durable.
pub struct Participation<S> {
    terms: Terms,
    log: Log<S>,
    state: State,
    /// What was heard before the process was killed, first to last.
    heard: Vec<(u32, ToSite)>,
    steps: u32,
}

enum State {
    /// It has this to say.
    Answers(Option<Site>, Box<ToServer>),
    /// It has said it.
    Listens(Site),
    /// It has said its last.
    Over,
    /// An error has come between.
    Failed,
}

impl<S: Storage> Participation<S> {
    /// Begins a round in an empty folder; durable at return. Nothing has been said yet.
    ///
    /// # Errors
    /// A [`ParticipationError`].
    pub fn begin(
        storage: S,
        terms: Terms,
        demands: &Demands,
        authority: Authority,
        identity: Identity,
    ) -> Result<Self, ParticipationError> {
        let mut records = 0_u64;
        let mut log = Log::open(storage, &mut |_| {
            records += 1;
            Ok(())
        })?;
        if records > 0 {
            return Err(ParticipationError::Exists);
        }
        let secret = RoundSecret::random().map_err(Refusal::from)?;
        let written = Record::Opened {
            terms: v1::Terms::from(terms).encode_to_vec(),
            demands: *demands,
            authority: authority.0.to_bytes(),
            secret: *secret.as_bytes(),
        };
        let state = State::begin(secret, terms, demands, authority, identity)?;
        log.append(&borsh::to_vec(&written)?)?;
        log.sync()?;
        Ok(Self { terms, log, state, heard: Vec::new(), steps: 0 })
    }

    /// The participation in this folder, to go on where its log ends; `None` if there is none.
    ///
    /// # Errors
    /// A [`ParticipationError`].
    pub fn resume(storage: S, identity: Identity) -> Result<Option<Self>, ParticipationError> {
        let mut opened = None;
        let mut heard = Vec::new();
        let log = Log::open(storage, &mut |record| {
            let read = read(record, &mut opened, &mut heard);
            read.ok_or(io::ErrorKind::InvalidData.into())
        });
        let log = log.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => ParticipationError::Foreign,
            _ => error.into(),
        })?;
        let Some((terms, demands, authority, secret)) = opened else { return Ok(None) };
        let state = State::begin(secret, terms, &demands, authority, identity)?;
        // The last heard comes first off.
        heard.reverse();
        Ok(Some(Self { terms, log, state, heard, steps: 0 }))
    }

    /// The round.
    pub fn round(&self) -> RoundId {
        self.terms.round()
    }

    /// Its terms.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How many of the round's steps the site has seen end.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Whether the site has said its last.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// What the site says now; `None` where it waits to be told something.
    pub fn answer(&self) -> Option<&ToServer> {
        match &self.state {
            State::Answers(_, answer) => Some(answer),
            _ => None,
        }
    }

    /// The answer has arrived at the server for good, or need not.
    pub fn said(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Answers(Some(site), _) => State::Listens(site),
            State::Answers(None, _) => State::Over,
            other => other,
        };
    }

    /// Goes through what was heard before the process was killed. To be called before anything is said or heard; `mask` as in
    /// [`hear`](Self::hear).
    ///
    /// # Errors
    /// As [`hear`](Self::hear).
    pub fn catch_up<E: From<ParticipationError> + From<Refusal>>(
        &mut self,
        mut mask: impl FnMut(Shared, &v1::ShareDelivery) -> Result<(Masked, v1::MaskedVector), E>,
    ) -> Result<(), E> {
        while let Some((steps, message)) = self.heard.pop() {
            // It was said, or it would not have heard this.
            self.said();
            self.go(steps, &message, &mut mask)?;
        }
        Ok(())
    }

    /// Takes what the server says after so many steps: durable before it is answered. `mask` makes the vector and masks it, by
    /// [`Shared::mask`], or by [`Shared::masked`] where the ledger has it.
    ///
    /// # Errors
    /// A [`ParticipationError`], or one of `mask`'s. After either the participation has to be resumed from its folder; where it
    /// is a [`Refusal`], the round is over for this site.
    pub fn hear<E: From<ParticipationError> + From<Refusal>>(
        &mut self,
        steps: u32,
        message: ToSite,
        mask: impl FnOnce(Shared, &v1::ShareDelivery) -> Result<(Masked, v1::MaskedVector), E>,
    ) -> Result<(), E> {
        let bytes = v1::ServerMessage::from(message.clone()).encode_to_vec();
        let write = borsh::to_vec(&Record::Heard { steps, message: bytes });
        let write = write.and_then(|record| self.log.append(&record)).and_then(|()| self.log.sync());
        write.map_err(|error| {
            self.state = State::Failed;
            ParticipationError::from(error)
        })?;
        self.go(steps, &message, mask)
    }

    /// Removes the log with its secrets, and gives the folder back.
    ///
    /// # Errors
    /// [`ParticipationError::Io`].
    pub fn remove(self) -> Result<S, ParticipationError> {
        Ok(self.log.give_back()?)
    }

    fn go<E: From<ParticipationError> + From<Refusal>>(
        &mut self,
        steps: u32,
        message: &ToSite,
        mask: impl FnOnce(Shared, &v1::ShareDelivery) -> Result<(Masked, v1::MaskedVector), E>,
    ) -> Result<(), E> {
        let site = match std::mem::replace(&mut self.state, State::Failed) {
            State::Listens(site) => site,
            State::Failed => return Err(ParticipationError::Failed.into()),
            State::Answers(..) | State::Over => return Err(Refusal::OutOfStep.into()),
        };
        let (site, answer) = site.answer(message, mask)?;
        (self.state, self.steps) = (State::Answers(site, Box::new(answer)), steps);
        Ok(())
    }
}

impl State {
    fn begin(
        secret: RoundSecret,
        terms: Terms,
        demands: &Demands,
        authority: Authority,
        identity: Identity,
    ) -> Result<Self, Refusal> {
        let (site, message) = Advertised::with(secret, terms, demands, authority, identity)?;
        Ok(Self::Answers(Some(Site::Advertised(Box::new(site))), Box::new(ToServer::Advertisement(message))))
    }
}

type Opened = (Terms, Demands, Authority, RoundSecret);

/// Reads one record; `None` where it cannot follow.
fn read(record: &[u8], opened: &mut Option<Opened>, heard: &mut Vec<(u32, ToSite)>) -> Option<()> {
    match (borsh::from_slice(record).ok()?, &opened) {
        (Record::Opened { terms, demands, authority, secret }, None) => {
            let terms = v1::Terms::decode(terms.as_slice()).ok().and_then(|terms| Terms::try_from(terms).ok())?;
            let authority = Authority(VerifyingKey::from_bytes(&authority)?);
            *opened = Some((terms, demands, authority, RoundSecret::from_bytes(secret)));
        }
        (Record::Heard { steps, message }, Some(_)) => {
            heard.push((steps, ToSite::read(v1::ServerMessage::decode(message.as_slice()).ok()?)?));
        }
        _ => return None,
    }
    Some(())
}
