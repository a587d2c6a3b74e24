//! The camera's part in learning together: it calls its aggregator, takes part in the rounds that its owner allows, and
//! tries the models that come of them.
//!
//! The server can only offer. What the agent is told is signed by the team whose key it was enrolled with, or it is
//! refused (`follow`, `part`); what a task may cost is the owner's to say, who signed a policy ([`PolicyFile`]), and a
//! ledger on the disk keeps count. A release takes the place of the model in use only where it is no worse on the
//! camera's own frames.
//!
//! It reaches its network through the release gate alone ([`Gate`]), and only while the owner agrees to learning: where they do
//! not, or no longer do, it waits without a word.
//!
//! Everything that matters is on the disk before it has an effect, in one folder (`docs/agent.md` lists its files).
//! Killed at any instant, the agent goes on with the same round and spends nothing twice. Waiting can therefore be
//! given up at any time.
//!
//! The [`Agent`] knows no pixels and no networks' weights: a [`Learner`] and a [`Judge`] do, those of [`Stills`] for
//! example: a folder of annotated [`Pictures`], or the [`Lessons`] of the learning buffer.

mod confined;
mod enrol;
mod evidence;
mod follow;
mod journal;
mod lessons;
mod limits;
mod looks;
mod pace;
mod part;
mod pictures;
mod policy;
mod state;
mod status;
mod stills;
mod surroundings;
mod talents;
mod teach;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message;
use volet_federated::RoundId;
use volet_federated::budget::{BudgetError, FileCounter, Ledger};
use volet_federated::camera::{Camera, CameraError};
use volet_federated::client::{ClientError, Credentials, Link};
use volet_federated::lineage::{Lineage, LineageError};
use volet_federated::mechanism::MechanismError;
use volet_federated::participation::ParticipationError;
use volet_federated::secagg::{Authority, Identity, Refusal};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::DirStorage;
use volet_federated::task::TaskError;
use volet_proto::v1;

pub use enrol::{Enrolment, certify, enrol, set_policy};
pub use evidence::{Spent, is_signed_report, latest_release, spent};
pub use follow::{Follower, LoadActiveError, load_active};
pub use journal::{Journal, Kind, Refused, Used};
pub use lessons::Lessons;
pub use limits::{Hours, Learning, LearningFileError};
pub use pace::{Going, Pace};
pub use pictures::{Pictures, Runs};
pub use policy::{Epsilons, OwnerError, PolicyFile, PolicyFileError, make_owner, read_owner};
pub use state::{Active, StateError, locks, models, sandbox_report};
pub use status::{Budget, Status, WhichLedger, agree, begin_ledger, exports, sign_report, status};
pub use stills::{Part, StillJudge, StillLearner, Stills, Turn};
pub use surroundings::{Device, Surroundings};
pub use talents::{Judge, Learner, TalentError, Talents};

use crate::egress::{ConsentError, Gate, GateError, PlaceError, Purpose};
use looks::Looks;
use state::State;
use talents::Shared;

/// A device's ledger.
type DeviceLedger = Ledger<DirStorage, FileCounter<DirStorage>>;

/// Why an agent stops, or an enrolment fails.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum AgentError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Consent(#[from] ConsentError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error(transparent)]
    Participation(#[from] ParticipationError),
    #[error(transparent)]
    Round(#[from] Refusal),
    #[error(transparent)]
    Camera(#[from] CameraError),
    #[error(transparent)]
    Lineage(#[from] LineageError),
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    #[error(transparent)]
    Talent(#[from] TalentError),
    #[error("{0}")]
    Spent(String),
    #[error("the aggregator named no release: start it, and enrol again")]
    NoRelease,
    #[error("the operating system gives no random bytes: {0}")]
    Entropy(getrandom::Error),
}

impl AgentError {
    /// Whether the same may succeed in a while, without anybody's doing.
    pub fn passes(&self) -> bool {
        match self {
            Self::Client(ClientError::Disk(_)) => false,
            Self::Client(error) => !matches!(error, ClientError::Connection(_)),
            Self::Talent(TalentError::Lost) => false,
            Self::Talent(_) => true,
            _ => false,
        }
    }
}

/// What an agent tells while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It takes part in a round, or goes on with one after a restart.
    TakesPart {
        /// The round.
        round: RoundId,
        /// Whether it was begun before.
        again: bool,
    },
    /// It has done its part in a round.
    TookPart(RoundId),
    /// A round is over for it without its part.
    SitsOut(RoundId, String),
    /// It refused what it was offered.
    Refused(Kind, String),
    /// This release is in use now.
    Uses(u64),
    /// Something failed that will be tried again.
    Fails(String),
    /// The owner does not agree to learning, or no longer does: nothing is said until they do.
    Silent,
}

/// An enrolled camera's agent.
pub struct Agent {
    state: State,
    gate: Arc<Gate>,
    link: Link,
    team: VerifyingKey,
    authority: Authority,
    /// Who helps in buffered rounds.
    helper: Option<[u8; 32]>,
    identity: Identity,
    /// A damaged ledger counts as spent: no round, but releases go on.
    ledger: Result<DeviceLedger, BudgetError>,
    lineage: Lineage,
    active: Active,
    /// What the model in use has learned.
    learned: Vec<f32>,
    journal: Journal,
    parameters: usize,
    learner: Option<Shared<dyn Learner>>,
    judge: Shared<dyn Judge>,
    looks: Looks,
    /// An update that waits for a round, if the model in use is still this release.
    ready: Option<(u64, Vec<f32>)>,
    /// The round that was sat out last, and whether for good.
    sat_out: Option<(RoundId, bool)>,
    tell: Box<dyn Fn(&Event) + Send>,
}

/// What a look at the aggregator led to.
enum Step {
    /// Nothing to do before so long.
    Idle(Duration),
    TookPart,
}

impl Agent {
    /// The agent of an enrolled camera's folder, which it has to itself. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// An [`AgentError`].
    pub fn open(folder: &Path, talents: Talents, tell: Box<dyn Fn(&Event) + Send>) -> Result<Self, AgentError> {
        let state = State::enrolled(folder)?;
        let damaged = |name| StateError::Damaged(state.path(name));
        let camera: Camera = toml::from_str(&state.text(state::CAMERA)?).map_err(|_| damaged(state::CAMERA))?;
        let (team, authority, helper) = (camera.team()?, camera.enrolment()?, camera.helper()?);
        let key = SigningKey::from(*zeroize::Zeroizing::new(state.hex(state::KEY)?));
        let enrolment = state.read(state::ENROLMENT)?.try_into().map_err(|_| damaged(state::ENROLMENT))?;
        let own = Credentials { certificate: state.read(state::CERTIFICATE)?, key };
        let gate = Gate::open(folder, &camera, &key, Purpose::Learning)?;
        let link = Link::new(camera.aggregator, &camera.authority, Some(&own), gate.clone())?.tries(6);
        let release = v1::SignedRelease::decode(state.read(state::RELEASE)?.as_slice());
        let lineage = Lineage::of(&release.map_err(|_| damaged(state::RELEASE))?, team)?;
        let ledger = match enrol::open_ledger(&state) {
            Ok(ledger) => Ok(ledger),
            Err(AgentError::Budget(error @ BudgetError::Exhausted(_))) => Err(error),
            Err(error) => return Err(error),
        };
        let (active, learned) = follow::active(&state, talents.parameters, &lineage)?;
        let journal = Journal::read(state.find(state::JOURNAL)?.as_deref());
        let identity = Identity::new(key, enrolment);
        let Talents { parameters, learner, judge } = talents;
        let (learner, judge) = (learner.map(Shared::from), judge.into());
        let (ready, sat_out) = (None, None);
        let looks = Looks::new(Instant::now());
        Ok(Self {
            state,
            gate,
            link,
            team,
            authority,
            helper,
            identity,
            ledger,
            lineage,
            active,
            learned,
            journal,
            parameters,
            learner,
            judge,
            looks,
            ready,
            sat_out,
            tell,
        })
    }

    /// The same, where a call is made again at most so many times before the agent pauses.
    pub fn tries(self, tries: usize) -> Self {
        Self { link: self.link.clone().tries(tries), ..self }
    }

    /// Works until `stop`, or until it has taken part in so many rounds.
    ///
    /// # Errors
    /// An [`AgentError`] that does not pass by itself.
    pub async fn run(&mut self, rounds: Option<u64>, stop: impl Future<Output = ()>) -> Result<(), AgentError> {
        let mut stop = std::pin::pin!(stop);
        let (mut taken, mut failures) = (0, 0);
        loop {
            let more = rounds.is_none_or(|rounds| taken < rounds);
            let gate = self.gate.clone();
            if !gate.is_open() {
                self.fall_silent()?;
                tokio::select! {
                    () = &mut stop => return Ok(()),
                    () = gate.opens() => {}
                }
            }
            let step = tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                // Whatever is under way is given up: it is on the disk, and goes on when the owner agrees again.
                () = gate.closes() => continue,
                step = self.step(more) => step,
            };
            let pause = match step {
                Ok(_) if !more => return Ok(()),
                Ok(Step::TookPart) => {
                    (taken, failures) = (taken + 1, 0);
                    continue;
                }
                Ok(Step::Idle(pause)) => {
                    failures = 0;
                    pause
                }
                Err(_) if !gate.is_open() => continue,
                Err(error) if error.passes() => {
                    (self.tell)(&Event::Fails(error.to_string()));
                    failures += 1;
                    // A second, and ever longer.
                    Duration::from_secs(1 << failures.min(10)).min(LONGEST)
                }
                Err(error) => return Err(error),
            };
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = gate.closes() => {}
                () = tokio::time::sleep(jitter(pause)?) => {}
            }
        }
    }

    /// Ends the connection, without a word over it.
    fn fall_silent(&mut self) -> Result<(), AgentError> {
        (self.tell)(&Event::Silent);
        self.link = self.link.with(&self.credentials()?)?;
        Ok(())
    }

    fn credentials(&self) -> Result<Credentials, AgentError> {
        let key = SigningKey::from(*zeroize::Zeroizing::new(self.state.hex(state::KEY)?));
        Ok(Credentials { certificate: self.state.read(state::CERTIFICATE)?, key })
    }

    /// One look at the aggregator, and what follows from it.
    async fn step(&mut self, more: bool) -> Result<Step, AgentError> {
        if let Some(unfinished) = self.unfinished()? {
            return self.go_on(unfinished, true).await;
        }
        let told = self.link.check_in(Some(self.lineage.latest().number)).await?;
        self.journal.last_check_in = Some(now());
        self.write_journal()?;
        self.renew().await?;
        self.follow(told.release).await?;
        if more
            && let (Some(task), Some(terms)) = (told.task, told.round)
            && let Some(begun) = self.consider(&task, terms).await?
        {
            return self.go_on(begun, false).await;
        }
        let asked = Duration::from_millis(told.again_after_ms.into()).clamp(SHORTEST, LONGEST);
        Ok(Step::Idle(asked.max(self.looks.look(Instant::now()))))
    }

    /// Has the certificate renewed when a third of its time is over; an aggregator that cannot is asked again another day.
    async fn renew(&mut self) -> Result<(), AgentError> {
        if self.journal.renew_at.is_some_and(|at| now() < at) {
            return Ok(());
        }
        let days = match self.link.renew().await {
            Ok((certificate, days)) => {
                self.state.put(state::CERTIFICATE, &certificate)?;
                self.link = self.link.with(&self.credentials()?)?;
                u64::from(days) / 3
            }
            Err(error) => {
                (self.tell)(&Event::Fails(format!("the certificate is not renewed yet: {error}")));
                1
            }
        };
        self.journal.renew_at = Some(now() + days.max(1) * 86_400);
        self.write_journal()
    }

    /// Refuses something, and remembers it.
    fn refuse(&mut self, kind: Kind, id: &blake3::Hash, why: String) -> Result<(), AgentError> {
        (self.tell)(&Event::Refused(kind, why.clone()));
        self.journal.refuse(kind, id, why, now());
        self.write_journal()
    }

    fn write_journal(&mut self) -> Result<(), AgentError> {
        let bytes = serde_json::to_vec_pretty(&self.journal);
        let bytes = bytes.map_err(|_| StateError::Damaged(self.state.path(state::JOURNAL)))?;
        Ok(self.state.put(state::JOURNAL, &bytes)?)
    }
}

/// Between two check-ins, whatever the server says.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// From half of a pause to one and a half of it, so that cameras that were switched on together do not call together.
fn jitter(pause: Duration) -> Result<Duration, AgentError> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(AgentError::Entropy)?;
    Ok(pause.mul_f64(0.5 + f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)))
}

/// Seconds since the epoch, by this device's clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
