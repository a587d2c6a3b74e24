//! Taking part in a round: checked against what is signed and what the owner allows before anything leaves, and then
//! gone through to its end, across restarts.

use std::time::Duration;

use prost::Message;
use volet_federated::RoundId;
use volet_federated::budget::{self, BudgetError, Grant, RoundState};
use volet_federated::mechanism::Mechanism;
use volet_federated::participation::{Participation, ParticipationError};
use volet_federated::secagg::{Demands, Masked, Refusal, Shared, Terms, ToServer, sealed, split};
use volet_federated::storage::{DirStorage, Storage};
use volet_federated::task::Task;
use volet_proto::v1;

use super::journal::day;
use super::state::{self, StateError, at};
use super::{Agent, AgentError, Event, Kind, Step, TalentError, now};

/// How often the end of a round is waited for before the next look at the aggregator, each time as long as it lets one.
const WAITS: usize = 24;
/// After a round that was sat out.
const PAUSE: Duration = Duration::from_secs(5);

impl Agent {
    /// The round that was begun before a restart. What rounds before it left is put in order.
    pub(super) fn unfinished(&mut self) -> Result<Option<Part>, AgentError> {
        if let Some(terms) = self.state.find(state::REPORT)? {
            let terms = v1::Terms::decode(terms.as_slice()).ok().and_then(|terms| Terms::try_from(terms).ok());
            match terms {
                Some(terms) => return Ok(Some(Part::Report(terms))),
                None => self.state.remove(state::REPORT)?,
            }
        }
        let resumed = Participation::resume(self.state.inner(state::ROUND)?, self.identity.clone());
        match resumed {
            Ok(Some(participation)) => return Ok(Some(Part::Masks(participation))),
            Ok(None) => {}
            Err(error @ ParticipationError::Io(_)) => return Err(error.into()),
            Err(_) => self.clear()?,
        }
        if let Ok(ledger) = &mut self.ledger {
            let open = |state: &RoundState| !matches!(state, RoundState::Forgotten(_));
            let left = ledger.explain().rounds.into_iter().filter(|round| open(&round.state));
            for round in left.collect::<Vec<_>>() {
                ledger.forget(round.terms.round)?;
            }
        }
        Ok(None)
    }

    /// Begins a round that was offered, if it is one to take part in. Nothing of it has left when this returns.
    pub(super) async fn consider(
        &mut self,
        signed: &v1::SignedTask,
        offered: v1::Terms,
    ) -> Result<Option<Part>, AgentError> {
        if self.learner.is_none() {
            return Ok(None);
        }
        let (any, this) = (self.id(signed, &v1::Terms { round: None, ..offered.clone() }), self.id(signed, &offered));
        if [any, this].iter().any(|id| self.journal.refuses(Kind::Task, id, now())) {
            return Ok(None);
        }
        let (terms, demands, buffered) = match self.permits(signed, offered) {
            Ok(permitted) => permitted,
            // It has taken part, and the round still gathers others.
            Err(Objection::Round) => return Ok(None),
            Err(Objection::Task(why)) => return self.refuse(Kind::Task, &any, why).map(|()| None),
            Err(Objection::Ledger(error)) => return Err(error.into()),
        };
        if self.ready.as_ref().is_none_or(|(release, _)| *release != self.active.release) {
            if self.sat_out == Some((terms.round(), true)) {
                return Ok(None);
            }
            match self.learn(terms.round()).await {
                Ok(update) => self.ready = Some((self.active.release, update)),
                Err(AgentError::Talent(TalentError::NotNow(why))) => {
                    return Ok(self.sit_out(terms.round(), why, false));
                }
                Err(AgentError::Talent(TalentError::Stopped(why))) => {
                    return Ok(self.sit_out(terms.round(), why, true));
                }
                Err(error) => return Err(error),
            }
        }
        self.state.put(state::TASK, &signed.encode_to_vec())?;
        if buffered {
            self.state.put(state::REPORT, &v1::Terms::from(terms).encode_to_vec())?;
            return Ok(Some(Part::Report(terms)));
        }
        let folder = self.state.inner(state::ROUND)?;
        match Participation::begin(folder, terms, &demands, self.authority, self.identity.clone()) {
            Ok(begun) => Ok(Some(Part::Masks(begun))),
            Err(ParticipationError::Round(refusal)) => {
                self.refuse(Kind::Task, &this, refusal.to_string())?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Leaves a round to others before anything of it was begun; says so once.
    fn sit_out(&mut self, round: RoundId, why: String, for_good: bool) -> Option<Part> {
        if self.sat_out.is_none_or(|(last, _)| last != round) {
            (self.tell)(&Event::SitsOut(round, why));
        }
        self.sat_out = Some((round, for_good));
        None
    }

    /// Goes on with a round to its end.
    pub(super) async fn go_on(&mut self, mut part: Part, again: bool) -> Result<Step, AgentError> {
        let terms = match &part {
            Part::Masks(participation) => *participation.terms(),
            Part::Report(terms) => *terms,
        };
        let (round, terms) = (terms.round(), v1::Terms::from(terms));
        (self.tell)(&Event::TakesPart { round, again });
        let signed = self.task().ok();
        let done = match &mut part {
            Part::Masks(participation) => self.take_part(participation).await,
            Part::Report(terms) => self.report(terms).await,
        };
        match done {
            Err(error) if goes_on(&error) => return Err(error),
            _ => {}
        }
        // The folder is given back before the ledger forgets: a restart in between finds nothing to go on with, and
        // forgets.
        match part {
            Part::Report(_) => self.state.remove(state::REPORT)?,
            Part::Masks(participation) => match participation.remove() {
                Err(error @ ParticipationError::Io(_)) => return Err(error.into()),
                Err(_) => self.clear()?,
                Ok(_) => {}
            },
        }
        self.unfinished()?;
        self.state.remove(state::TASK)?;
        match done {
            Ok(()) => {
                (self.tell)(&Event::TookPart(round));
                // A release may follow: it is there when the round is over.
                for _ in 0..WAITS {
                    if self.link.hear(round, u32::MAX).await.is_ok_and(|(_, _, over)| !over) {
                        continue;
                    }
                    break;
                }
                Ok(Step::TookPart)
            }
            Err(error) => {
                (self.tell)(&Event::SitsOut(round, error.to_string()));
                // While it gathers sites it would be offered again.
                let id = signed.map(|signed| self.id(&signed, &terms));
                if let Some(id) = id {
                    self.journal.refuse(Kind::Task, &id, error.to_string(), now());
                    self.write_journal()?;
                }
                Ok(Step::Idle(PAUSE))
            }
        }
    }

    async fn take_part(&mut self, participation: &mut Participation<DirStorage>) -> Result<(), AgentError> {
        let (mechanism, reservation, update) = self.prepare(participation.terms()).await?;
        let ledger = self.ledger.as_mut().map_err(|error| AgentError::Spent(error.to_string()))?;
        let mask = |shared: Shared, delivery: &v1::ShareDelivery| -> Result<(Masked, v1::MaskedVector), AgentError> {
            match ledger.reserve(reservation, day(now()))? {
                Grant::Reserved(reserved) => {
                    let (masked, unsealed) = shared.mask(delivery, mechanism.privatise(&update, reserved)?)?;
                    Ok((masked, unsealed.seal(ledger)?))
                }
                Grant::Released(release) => {
                    let vector: v1::MaskedVector = sealed(&release).ok_or(Refusal::OtherRound)?;
                    Ok((shared.masked(delivery, &vector)?, vector))
                }
            }
        };
        self.link.take_part(participation, mask).await
    }

    /// Says the one message of a buffered round.
    async fn report(&mut self, terms: &Terms) -> Result<(), AgentError> {
        let (mechanism, reservation, update) = self.prepare(terms).await?;
        let ledger = self.ledger.as_mut().map_err(|error| AgentError::Spent(error.to_string()))?;
        let report: v1::SplitReport = match ledger.reserve(reservation, day(now()))? {
            Grant::Reserved(reserved) => {
                let (helper, demands) = (self.helper.ok_or(Refusal::Helper)?, ledger.explain().policy.demands);
                let noised = mechanism.privatise(&update, reserved)?;
                split::report(terms, &demands, &self.identity, &helper, noised)?.seal(ledger)?
            }
            Grant::Released(release) => sealed(&release).ok_or(Refusal::OtherRound)?,
        };
        Ok(self.link.say(terms.round(), ToServer::Split(report)).await?)
    }

    /// What a round's update is made with, and from.
    async fn prepare(&mut self, terms: &Terms) -> Result<(Mechanism, budget::Terms, Vec<f32>), AgentError> {
        let task = Task::verify(&self.task()?, &self.team)?;
        let (mechanism, reservation) = (task.mechanism()?, task.reservation(terms)?);
        let update = match self.ready.take() {
            Some((_, update)) => update,
            None if self.is_sealed(&reservation) => Vec::new(),
            None => self.learn(terms.round()).await?,
        };
        Ok((mechanism, reservation, update))
    }

    /// The task of the round that goes on.
    fn task(&self) -> Result<v1::SignedTask, StateError> {
        let signed = v1::SignedTask::decode(self.state.read(state::TASK)?.as_slice());
        signed.map_err(|_| StateError::Damaged(self.state.path(state::TASK)))
    }

    /// Whether a round's vector is in the ledger already, so that nothing needs to be learned for it.
    fn is_sealed(&self, reservation: &budget::Terms) -> bool {
        let rounds = self.ledger.as_ref().map(|ledger| ledger.explain().rounds).unwrap_or_default();
        let this = rounds.into_iter().find(|round| round.terms.round == reservation.round);
        this.is_some_and(|round| round.state != RoundState::Reserved)
    }

    async fn learn(&mut self, round: RoundId) -> Result<Vec<f32>, AgentError> {
        let active = self.learned.clone();
        let learner = self.learner.as_ref().ok_or(TalentError::Lost)?;
        Ok(learner.work(move |learner| learner.update(&active, round)).await?)
    }

    /// Whether the owner allows this round, and what the owner demands of it.
    fn permits(&self, signed: &v1::SignedTask, offered: v1::Terms) -> Result<(Terms, Demands, bool), Objection> {
        let ledger = self.ledger.as_ref().map_err(Objection::task)?;
        let task = Task::verify(signed, &self.team).map_err(Objection::task)?;
        let terms = Terms::try_from(offered).map_err(Objection::task)?;
        let reservation = task.reservation(&terms).map_err(Objection::task)?;
        let own = self.lineage.latest().lineage;
        if task.lineage != own {
            let why = format!("the task is of lineage {}, and this camera's model is of {own}", task.lineage);
            return Err(Objection::Task(why));
        }
        if task.parameters as usize != self.parameters {
            let (asked, have) = (task.parameters, self.parameters);
            return Err(Objection::Task(format!("the task trains {asked} values, and this camera's model has {have}")));
        }
        if task.buffered && self.helper.is_none() {
            return Err(Objection::Task("its rounds are buffered, and camera.toml names no helper".to_owned()));
        }
        let demands = ledger.explain().policy.demands;
        demands.check(&terms).map_err(Objection::task)?;
        let colluding = terms.risk().corrupt(terms.minimum().get() as usize);
        if colluding > task.corrupt as usize {
            return Err(Objection::task(Refusal::Colluding { terms: colluding, noise: task.corrupt }));
        }
        match ledger.allows(&reservation, day(now())) {
            Ok(()) => Ok((terms, demands, task.buffered)),
            Err(BudgetError::Refused(budget::Refusal::Forgotten(_) | budget::Refusal::PayloadLost(_))) => {
                Err(Objection::Round)
            }
            Err(BudgetError::Refused(refusal)) => Err(Objection::task(refusal)),
            Err(error) => Err(Objection::Ledger(error)),
        }
    }

    /// A name for what is offered, under the present policy: a new one has another look at it.
    fn id(&self, signed: &v1::SignedTask, terms: &v1::Terms) -> blake3::Hash {
        let version = self.ledger.as_ref().map_or(0, |ledger| ledger.explain().policy.version);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&signed.encode_length_delimited_to_vec());
        hasher.update(&terms.encode_length_delimited_to_vec());
        hasher.update(&version.to_le_bytes());
        hasher.finalize()
    }

    /// Removes a log that cannot be gone on with: its round is lost to this camera.
    fn clear(&mut self) -> Result<(), StateError> {
        let mut folder = self.state.inner(state::ROUND)?;
        let cleared = folder.list().and_then(|names| {
            names.iter().filter(|name| *name != state::LOCK).try_for_each(|name| folder.remove(name))?;
            folder.sync_dir()
        });
        cleared.map_err(at(&self.state.path(state::ROUND)))
    }
}

/// A part in a round, begun and not done.
pub(super) enum Part {
    /// Under masks that the round's sites agree on.
    Masks(Participation<DirStorage>),
    /// One report, under a split mask.
    Report(Terms),
}

/// Why a round is not begun.
enum Objection {
    /// This one alone, and without a word.
    Round,
    /// The task, or every round with such terms.
    Task(String),
    Ledger(BudgetError),
}

impl Objection {
    fn task(why: impl std::fmt::Display) -> Self {
        Self::Task(why.to_string())
    }
}

/// Whether a round is gone on with later, or after the agent is started again, for all that an error says.
fn goes_on(error: &AgentError) -> bool {
    match error {
        AgentError::Client(error) => error.passes(),
        AgentError::Budget(error) => !matches!(error, BudgetError::Refused(_) | BudgetError::Exhausted(_)),
        AgentError::Participation(error) => matches!(error, ParticipationError::Io(_) | ParticipationError::Failed),
        // Whatever needs an update has sealed none, and nothing of it has left.
        AgentError::Talent(_) => false,
        _ => false,
    }
}
