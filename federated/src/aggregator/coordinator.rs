//! One thread owns the round and its disk. Calls hand their messages to it and wait; it takes whatever has gathered, syncs
//! once, and answers all. So a thousand sites cost some tens of syncs, and nothing is said to have arrived that has not.
//!
//! After a failure of the disk it opens the round again from its log, every second until that succeeds; calls are told to
//! come back later.
//!
//! Steps last by a clock that nobody sets: the wall's at the start, and from then on the machine's own.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{oneshot, watch};
use volet_proto::v1;

use crate::RoundId;
use crate::round::{Outcome, Plan, Round, RoundError, Time};
use crate::secagg::{Rejected, ToSite};
use crate::storage::Storage;

/// What a coordinator works for: where rounds lie, and what becomes of them.
pub trait Rounds: Send + 'static {
    /// A folder for one round at a time.
    type Folder: Storage;

    /// Opens the folder.
    ///
    /// # Errors
    /// Those of the disk: it will be asked again.
    fn folder(&mut self) -> io::Result<Self::Folder>;

    /// Keeps a round's outcome, durably at return. It may be told of the same round again, where the
    /// machine stopped before the round's log was removed.
    ///
    /// # Errors
    /// Those of the disk: it will be told again.
    fn ended(&mut self, plan: &Plan, outcome: &Outcome) -> io::Result<()>;

    /// The next round, where there is none.
    ///
    /// # Errors
    /// Those of the disk.
    fn next(&mut self) -> io::Result<Option<Plan>>;
}

/// A message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// It makes no sense at this step.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// There is no such round, or no longer.
    #[error("this round is not, or no longer: sit it out")]
    Over,
    /// There is too much to do, or the disk fails.
    #[error("the aggregator is busy: ask again later")]
    Later,
}

/// What a site hears.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// How many steps have ended.
    pub steps: u32,
    /// What the last one says to this site.
    pub message: Option<ToSite>,
    /// Whether the round is over.
    pub over: bool,
}

/// A handle of the thread.
#[derive(Clone)]
pub struct Coordinator {
    commands: SyncSender<Command>,
    present: watch::Receiver<Present>,
}

/// What calls need to know at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Present {
    /// The disk has not been read yet.
    Unknown,
    /// There is no round, and none to come for now.
    Idle,
    /// A round goes on, and messages may be so long.
    Round { round: RoundId, longest: usize },
}

enum Command {
    Say { from: [u8; 32], round: RoundId, message: v1::SiteMessage, reply: oneshot::Sender<Result<(), Busy>> },
    Hear(Listener),
    Gathering { reply: oneshot::Sender<Option<Plan>> },
}

struct Listener {
    from: [u8; 32],
    round: RoundId,
    steps: u32,
    reply: oneshot::Sender<Heard>,
}

impl Coordinator {
    /// So many calls may wait for the thread; more are told to come back.
    const QUEUE: usize = 4096;

    /// Starts the thread. It ends with the last handle, or before a log that this version cannot read.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(rounds: impl Rounds) -> io::Result<Self> {
        let (commands, inbox) = sync_channel(Self::QUEUE);
        let (tell, present) = watch::channel(Present::Unknown);
        let thread = thread::Builder::new().name("coordinator".to_owned());
        thread.spawn(move || Thread::new(rounds, inbox, tell).run())?;
        Ok(Self { commands, present })
    }

    /// The longest message that a round takes now.
    ///
    /// # Errors
    /// [`Busy::Later`] while that is not known, [`Busy::Over`] where there is none or another one.
    pub fn longest(&self, id: RoundId) -> Result<usize, Busy> {
        match *self.present.borrow() {
            Present::Round { round, longest } if round == id => Ok(longest),
            Present::Round { .. } | Present::Idle => Err(Busy::Over),
            Present::Unknown => Err(Busy::Later),
        }
    }

    /// Returns when the thread has ended: by itself it never does.
    pub async fn ended(&self) {
        let mut present = self.present.clone();
        while present.changed().await.is_ok() {}
    }

    /// Hands a message in, and waits until it is durable.
    ///
    /// # Errors
    /// A [`Busy`].
    pub async fn say(&self, from: [u8; 32], round: RoundId, message: v1::SiteMessage) -> Result<(), Busy> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Say { from, round, message, reply })?;
        answer.await.unwrap_or(Err(Busy::Later))
    }

    /// Waits until more than `steps` steps of the round have ended.
    ///
    /// # Errors
    /// [`Busy::Later`].
    pub async fn hear(&self, from: [u8; 32], round: RoundId, steps: u32) -> Result<Heard, Busy> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Hear(Listener { from, round, steps, reply }))?;
        answer.await.map_err(|_| Busy::Later)
    }

    /// The round that gathers sites now.
    ///
    /// # Errors
    /// [`Busy::Later`].
    pub async fn gathering(&self) -> Result<Option<Plan>, Busy> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Gathering { reply })?;
        answer.await.map_err(|_| Busy::Later)
    }

    fn send(&self, command: Command) -> Result<(), Busy> {
        self.commands.try_send(command).map_err(|error| match error {
            // A thread that has gone says nothing of its round, which lies on the disk.
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy::Later,
        })
    }
}

struct Thread<R: Rounds> {
    rounds: R,
    inbox: Receiver<Command>,
    round: Option<Round<R::Folder>>,
    /// There is no round, and none to come for now.
    idle: bool,
    /// When the disk, or whoever plans rounds, is asked again.
    not_before: Instant,
    listeners: Vec<Listener>,
    tell: watch::Sender<Present>,
    clock: Clock,
}

impl<R: Rounds> Thread<R> {
    /// Between two looks at the clock.
    const PAUSE: Duration = Duration::from_millis(200);
    /// Between two tries of a disk that fails.
    const MEND: Duration = Duration::from_secs(1);

    fn new(rounds: R, inbox: Receiver<Command>, tell: watch::Sender<Present>) -> Self {
        let (not_before, clock) = (Instant::now(), Clock::start());
        Self { rounds, inbox, round: None, idle: false, not_before, listeners: Vec::new(), tell, clock }
    }

    fn run(mut self) {
        loop {
            match self.work() {
                Ok(()) => {}
                Err(error @ RoundError::Foreign(_)) => {
                    tracing::error!(%error, "the coordinator stops");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the round waits for its disk");
                    self.round = None;
                    self.not_before = Instant::now() + Self::MEND;
                }
            }
            self.tell();
            match self.inbox.recv_timeout(Self::PAUSE) {
                // Whoever spoke while the disk was slow is heard before a step ends.
                Ok(first) => {
                    let mut next = Some(first);
                    while let Some(first) = next {
                        self.serve(first);
                        next = self.inbox.try_recv().ok();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Moves the round on as far as the clock and its messages allow.
    fn work(&mut self) -> Result<(), RoundError> {
        loop {
            let Some(round) = &mut self.round else {
                if Instant::now() < self.not_before {
                    return Ok(());
                }
                let now = self.clock.now();
                self.round = match Round::resume(self.rounds.folder()?, now)? {
                    Some(round) => Some(round),
                    None => match self.rounds.next()? {
                        Some(plan) => Some(Round::begin(self.rounds.folder()?, plan, now)?),
                        None => {
                            self.idle = true;
                            self.not_before = Instant::now() + Self::MEND;
                            self.answer();
                            return Ok(());
                        }
                    },
                };
                self.idle = false;
                self.answer();
                continue;
            };
            let before = round.steps();
            round.tick(self.clock.now())?;
            if round.steps() != before {
                self.tell();
                self.answer();
            }
            let Some(round) = &self.round else { continue };
            let Some(outcome) = round.outcome() else { return Ok(()) };
            self.rounds.ended(round.plan(), outcome)?;
            if let Some(round) = self.round.take() {
                round.remove()?;
            }
        }
    }

    /// Answers the first call and all that have come meanwhile: one sync for all of them.
    fn serve(&mut self, first: Command) {
        let mut said = Vec::new();
        let more: Vec<Command> = self.inbox.try_iter().take(1024).collect();
        for command in std::iter::once(first).chain(more) {
            match command {
                Command::Say { from, round, message, reply } => said.push((self.take(from, round, message), reply)),
                Command::Hear(listener) => self.listeners.push(listener),
                Command::Gathering { reply } => {
                    let gathering = self.round.as_ref().filter(|round| round.steps() == 0);
                    let _ = reply.send(gathering.map(|round| *round.plan()));
                }
            }
        }
        let durable = said.is_empty() || self.round.as_mut().is_none_or(|round| round.commit().is_ok());
        if !durable {
            // To be opened again: what of it is on the disk is not known.
            self.round = None;
        }
        for (answer, reply) in said {
            // Who has gone asks again.
            let _ = reply.send(if durable { answer } else { Err(Busy::Later) });
        }
        self.answer();
    }

    /// Tells calls what the present step takes.
    fn tell(&self) {
        let present = match &self.round {
            Some(round) => Present::Round { round: round.plan().terms.round(), longest: round.longest() },
            None if self.idle => Present::Idle,
            None => Present::Unknown,
        };
        self.tell.send_if_modified(|told| std::mem::replace(told, present) != present);
    }

    fn take(&mut self, from: [u8; 32], id: RoundId, message: v1::SiteMessage) -> Result<(), Busy> {
        let round = self.round.as_mut().ok_or(if self.idle { Busy::Over } else { Busy::Later })?;
        if round.plan().terms.round() != id {
            return Err(Busy::Over);
        }
        match round.receive(from, message) {
            Ok(Ok(_receipt)) => Ok(()),
            Ok(Err(rejected)) => Err(rejected.into()),
            Err(_) => Err(Busy::Later),
        }
    }

    /// Answers those whose round has moved on, and forgets those who have gone.
    fn answer(&mut self) {
        let round = self.round.as_ref();
        for listener in std::mem::take(&mut self.listeners) {
            if listener.reply.is_closed() {
                continue;
            }
            let heard = match round {
                None if self.idle => Some(Heard { steps: listener.steps, message: None, over: true }),
                // Nobody knows yet.
                None => None,
                Some(round) if round.plan().terms.round() != listener.round => {
                    Some(Heard { steps: listener.steps, message: None, over: true })
                }
                Some(round) => (round.steps() > listener.steps || round.outcome().is_some()).then(|| Heard {
                    steps: round.steps(),
                    message: round.message_for(&listener.from).cloned(),
                    over: round.outcome().is_some(),
                }),
            };
            match heard {
                Some(heard) => drop(listener.reply.send(heard)),
                None => self.listeners.push(listener),
            }
        }
    }
}

/// A clock that is not set while it runs.
struct Clock {
    from: Time,
    start: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { from: wall(), start: Instant::now() }
    }

    fn now(&self) -> Time {
        self.from.after(milliseconds(self.start.elapsed()))
    }
}

/// The time, by this machine's clock.
pub(super) fn wall() -> Time {
    Time(milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
