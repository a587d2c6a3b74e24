//! One thread owns the shards that this replica drives, and their journals. Calls hand their messages to it and wait; it
//! takes whatever has gathered, syncs once, and answers all. So a thousand sites cost some tens of syncs, and nothing is said
//! to have arrived that has not.
//!
//! A shard gathers sites until it is full; then the next one begins, until the round has as many as it may have or its time
//! to gather is over. When all have ended the round is finished, off this thread: its sums become a release.
//!
//! After a failure of the disk a shard is opened again from its journal, every second until that succeeds; calls are told to
//! come back later. Other shards go on.
//!
//! Steps last by a clock that nobody sets: the wall's at the start, and from then on the machine's own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message;
use tokio::sync::{oneshot, watch};
use volet_proto::v1;

use super::register::{Opened, ShardId};
use super::state::STEPS;
use crate::RoundId;
use crate::round::{Journal, Outcome, Plan, Receipt, Round, RoundError, Time};
use crate::secagg::{Rejected, ToServer};

/// What makes a release of a round's sums, on a thread of its own.
pub type Finish = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// What a coordinator works for: where rounds lie, and what becomes of them. What has failed is tried again.
#[allow(clippy::missing_errors_doc)] // those of the disk or the network behind it
pub trait Rounds: Send + 'static {
    /// What shards are kept in.
    type Journal: Journal;

    /// The round that goes on; the next one is opened where none does.
    fn present(&mut self, now: Time) -> io::Result<Option<Opened>>;

    /// The shards that this replica drives now. Asked every second or so, which also says that this replica is alive.
    fn claim(&mut self) -> io::Result<Vec<ShardId>>;

    /// A shard's plan, by the time that is left to gather its sites.
    fn plan(&mut self, shard: ShardId, present: &Opened, now: Time) -> io::Result<Plan>;

    /// Begins another shard of the round, where it may have one now.
    fn begin(&mut self, present: &Opened, now: Time) -> io::Result<Option<ShardId>>;

    /// Opens the place of a shard's journal.
    fn place(&mut self, shard: ShardId) -> io::Result<<Self::Journal as Journal>::Place>;

    /// A shard takes no more sites.
    fn gathered(&mut self, shard: ShardId) -> io::Result<()>;

    /// These sites belong to this shard.
    fn joined(&mut self, shard: ShardId, sites: &[[u8; 32]]) -> io::Result<()>;

    /// Keeps a shard's outcome, durably at return. It may be told of the same shard again, where the machine stopped before
    /// the shard's journal was removed.
    fn ended(&mut self, shard: ShardId, plan: &Plan, sites: u32, outcome: &Outcome) -> io::Result<()>;

    /// Whether no other replica can drive the same shards.
    fn alone(&self) -> bool {
        true
    }

    /// What finishes the round, once all of its shards have ended and no other may begin.
    fn finish(&mut self, present: &Opened, now: Time) -> io::Result<Option<Finish>>;

    /// The terms that sites are asked to take part by.
    fn terms(&self, round: u64) -> io::Result<crate::secagg::Terms>;
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
    /// The site has no shard at this replica.
    #[error("this site's shard is elsewhere")]
    Elsewhere,
}

/// What a site hears.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// How many steps have ended.
    pub steps: u32,
    /// What the last one says to this site: an encoded `ServerMessage`.
    pub message: Option<Arc<Vec<u8>>>,
    /// Whether the round is over.
    pub over: bool,
}

/// What goes on, for people to look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// The round.
    pub round: Option<Opened>,
    /// The shards that this replica drives.
    pub shards: Vec<LiveShard>,
}

/// A shard that goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveShard {
    /// Which.
    pub id: ShardId,
    /// How many steps have ended.
    pub steps: u32,
    /// When the present one ends at the latest.
    pub due: Time,
    /// How many sites have come.
    pub sites: usize,
    /// How many more messages the present step could take.
    pub waiting_for: usize,
    /// How many sites have been silent at a step.
    pub dropped: usize,
}

/// A handle of the thread.
#[derive(Clone)]
pub struct Coordinator {
    commands: SyncSender<Command>,
    present: watch::Receiver<Present>,
    live: watch::Receiver<Live>,
}

/// What calls need to know at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Present {
    /// The disk has not been read yet.
    Unknown,
    /// There is no round, and none to come for now.
    Idle,
    /// A round goes on, and messages to the shards here may be so long.
    Round { round: RoundId, longest: usize },
}

enum Command {
    Say { from: [u8; 32], round: RoundId, message: v1::SiteMessage, reply: oneshot::Sender<Result<(), Busy>> },
    Hear(Listener),
}

struct Listener {
    from: [u8; 32],
    round: RoundId,
    steps: u32,
    reply: oneshot::Sender<Result<Heard, Busy>>,
}

impl Coordinator {
    /// So many calls may wait for the thread; more are told to come back.
    const QUEUE: usize = 4096;

    /// Starts the thread. It ends with the last handle, or before a journal that this version cannot read.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(rounds: impl Rounds) -> io::Result<Self> {
        let (commands, inbox) = sync_channel(Self::QUEUE);
        let (tell, present) = watch::channel(Present::Unknown);
        let (show, live) = watch::channel(Live::default());
        let thread = thread::Builder::new().name("coordinator".to_owned());
        thread.spawn(move || Thread::new(rounds, inbox, tell, show).run())?;
        Ok(Self { commands, present, live })
    }

    /// The longest message that the shards here take now.
    ///
    /// # Errors
    /// [`Busy::Later`] while that is not known, [`Busy::Over`] where no such round was here at the last look at the register.
    pub fn longest(&self, id: RoundId) -> Result<usize, Busy> {
        match *self.present.borrow() {
            Present::Round { round, longest } if round == id => Ok(longest),
            Present::Round { .. } | Present::Idle => Err(Busy::Over),
            Present::Unknown => Err(Busy::Later),
        }
    }

    /// What goes on.
    pub fn live(&self) -> watch::Receiver<Live> {
        self.live.clone()
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

    /// Waits until more than `steps` steps of the site's shard have ended.
    ///
    /// # Errors
    /// [`Busy::Later`], [`Busy::Elsewhere`]; [`Busy::Over`] where this replica knows of no such round.
    pub async fn hear(&self, from: [u8; 32], round: RoundId, steps: u32) -> Result<Heard, Busy> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Hear(Listener { from, round, steps, reply }))?;
        answer.await.unwrap_or(Err(Busy::Later))
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
    /// The round that goes on, and its name; of no meaning before it is known.
    present: Option<(Opened, RoundId)>,
    known: bool,
    shards: BTreeMap<ShardId, Driven<R::Journal>>,
    /// When the register is asked again.
    look: Instant,
    finishing: Option<JoinHandle<io::Result<()>>>,
    /// By site: who asks again asks instead.
    listeners: BTreeMap<[u8; 32], Listener>,
    tell: watch::Sender<Present>,
    show: watch::Sender<Live>,
    clock: Clock,
}

/// A shard that this replica drives.
struct Driven<J> {
    round: Round<J>,
    /// Who has joined, and is not in the register yet.
    unjoined: BTreeSet<[u8; 32]>,
    /// Whether the register has heard that it gathers no more.
    told: bool,
    /// How many sites have been silent at a step.
    dropped: usize,
    /// What a step says to all alike, encoded once.
    same: Option<(u32, Arc<Vec<u8>>)>,
}

impl<R: Rounds> Thread<R> {
    /// Between two looks at the clock.
    const PAUSE: Duration = Duration::from_millis(200);
    /// Between two looks at the register, and two tries of a disk that fails.
    const LOOK: Duration = Duration::from_secs(1);

    fn new(rounds: R, inbox: Receiver<Command>, tell: watch::Sender<Present>, show: watch::Sender<Live>) -> Self {
        let (look, clock) = (Instant::now(), Clock::start());
        let (shards, listeners) = (BTreeMap::new(), BTreeMap::new());
        Self { rounds, inbox, present: None, known: false, shards, look, finishing: None, listeners, tell, show, clock }
    }

    fn run(mut self) {
        loop {
            if let Err(error) = self.work() {
                if matches!(error, RoundError::Foreign(_)) {
                    tracing::error!(%error, "the coordinator stops");
                    return;
                }
                tracing::error!(%error, "the coordinator tries again");
            }
            self.tell();
            self.answer();
            match self.inbox.recv_timeout(Self::PAUSE) {
                // Whoever spoke while the disk was slow is heard before a step ends; and steps end, however many speak.
                Ok(first) => {
                    let (mut next, until) = (Some(first), Instant::now() + Self::PAUSE);
                    while let Some(first) = next {
                        self.serve(first);
                        next = if Instant::now() < until { self.inbox.try_recv().ok() } else { None };
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Moves everything on as far as the clock and the messages allow.
    fn work(&mut self) -> Result<(), RoundError> {
        loop {
            if self.finishing.as_ref().is_some_and(JoinHandle::is_finished)
                && let Some(finished) = self.finishing.take()
            {
                self.look = Instant::now() + Self::LOOK;
                finished.join().map_err(|_| io::Error::other("the round's end panicked"))??;
                self.look = Instant::now();
            }
            if Instant::now() >= self.look {
                self.look = Instant::now() + Self::LOOK;
                let looked = self.look();
                if looked.is_err() {
                    self.tick();
                }
                looked?;
            }
            if !self.tick() {
                return Ok(());
            }
        }
    }

    /// Compares what is driven here with what should be.
    fn look(&mut self) -> Result<(), RoundError> {
        let now = self.clock.now();
        let present = self.rounds.present(now)?;
        let claimed = self.rounds.claim()?;
        self.shards.retain(|shard, _| claimed.contains(shard));
        let named = present.map(|opened| Ok::<_, io::Error>((opened, self.rounds.terms(opened.number)?.round())));
        self.present = named.transpose()?;
        let Some(opened) = present else {
            self.known = true;
            return Ok(());
        };
        let begun = self.rounds.begin(&opened, now)?;
        for shard in claimed.into_iter().chain(begun) {
            match self.drive(shard, &opened, now) {
                Ok(()) => {}
                Err(error @ RoundError::Foreign(_)) => return Err(error),
                // The others go on.
                Err(error) => tracing::error!(%error, "a shard waits for its disk"),
            }
        }
        self.known = true;
        if self.shards.is_empty() && begun.is_none() && self.finishing.is_none() {
            self.finishing = self.rounds.finish(&opened, now)?.map(thread::spawn);
        }
        Ok(())
    }

    /// Opens a shard's journal, or begins one.
    fn drive(&mut self, shard: ShardId, present: &Opened, now: Time) -> Result<(), RoundError> {
        if self.shards.contains_key(&shard) {
            return Ok(());
        }
        let plan = self.rounds.plan(shard, present, now)?;
        let same = |old: &Plan| (old.terms, old.kind, old.most) == (plan.terms, plan.kind, plan.most);
        let round = match Round::resume(self.rounds.place(shard)?, now)? {
            // The team has decided otherwise before anyone came.
            Some(round)
                if self.rounds.alone() && round.sites() + round.steps() as usize == 0 && !same(round.plan()) =>
            {
                round.remove()?;
                Round::begin(self.rounds.place(shard)?, plan, now)?
            }
            Some(round) => round,
            None => Round::begin(self.rounds.place(shard)?, plan, now)?,
        };
        // Whether the register was told of them before the process was killed is not known.
        let unjoined = round.members().collect();
        self.shards.insert(shard, Driven { round, unjoined, told: false, dropped: 0, same: None });
        self.join(shard)?;
        Ok(())
    }

    /// Ends steps and shards whose time has come; whether there is more to do at once.
    fn tick(&mut self) -> bool {
        let now = self.clock.now();
        let (mut over, mut broken, mut moved) = (Vec::new(), Vec::new(), false);
        for (&id, driven) in &mut self.shards {
            let (before, silent) = (driven.round.steps(), driven.round.waiting_for());
            if let Err(error) = driven.round.tick(now) {
                tracing::error!(%error, "a shard waits for its disk");
                broken.push(id);
                continue;
            }
            if driven.round.steps() != before {
                moved = true;
                if let Some(step) = STEPS.get(before as usize).filter(|_| before > 0) {
                    driven.dropped += silent;
                    metrics::counter!("volet_dropouts_total", "step" => *step).increment(silent as u64);
                }
            }
            // What fails here is tried again, and the other shards go on.
            if driven.round.steps() > 0 && !driven.told {
                match self.rounds.gathered(id) {
                    // Another shard may begin.
                    Ok(()) => (driven.told, self.look) = (true, Instant::now()),
                    Err(error) => tracing::error!(%error, "the register does not answer"),
                }
            }
            if let Some(outcome) = driven.round.outcome() {
                let sites = u32::try_from(driven.round.sites()).unwrap_or(u32::MAX);
                match self.rounds.ended(id, driven.round.plan(), sites, outcome) {
                    Ok(()) => over.push(id),
                    Err(error) => tracing::error!(%error, "a shard's sum cannot be kept yet"),
                }
            }
        }
        self.shards.retain(|id, _| !broken.contains(id));
        if moved {
            // Whoever hears of a step may speak at once.
            self.tell();
            self.answer();
        }
        moved = !over.is_empty();
        for id in over {
            let removed = self.shards.remove(&id).map(|driven| driven.round.remove());
            if let Some(Err(error)) = removed {
                // The round's end removes what is left.
                tracing::warn!(%error, "a shard's journal cannot be removed yet");
            }
            self.look = Instant::now();
        }
        moved
    }

    /// Answers the first call and all that have come meanwhile: one sync for all of them.
    fn serve(&mut self, first: Command) {
        let (mut said, mut touched) = (Vec::new(), BTreeSet::new());
        let more: Vec<Command> = self.inbox.try_iter().take(1024).collect();
        for command in std::iter::once(first).chain(more) {
            match command {
                Command::Say { from, round, message, reply } => match self.take(from, round, message) {
                    Ok((shard, receipt)) => {
                        let unjoined = |driven: &Driven<_>| !driven.unjoined.is_empty();
                        if receipt == Receipt::Taken || self.shards.get(&shard).is_some_and(unjoined) {
                            touched.insert(shard);
                        }
                        said.push((shard, reply));
                    }
                    Err(busy) => drop(reply.send(Err(busy))),
                },
                Command::Hear(listener) => self.listen(listener),
            }
        }
        let failed: BTreeSet<ShardId> = touched.into_iter().filter(|&shard| !self.commit(shard)).collect();
        for (shard, reply) in said {
            // Who has gone asks again.
            let _ = reply.send(if failed.contains(&shard) { Err(Busy::Later) } else { Ok(()) });
        }
    }

    fn commit(&mut self, shard: ShardId) -> bool {
        let start = Instant::now();
        let Some(driven) = self.shards.get_mut(&shard) else { return false };
        if let Err(error) = driven.round.commit() {
            tracing::error!(%error, "a shard waits for its disk");
            // To be opened again: what of it is on the disk is not known.
            self.shards.remove(&shard);
            return false;
        }
        metrics::histogram!("volet_commit_seconds").record(start.elapsed());
        self.join(shard).inspect_err(|error| tracing::error!(%error, "the register does not answer")).is_ok()
    }

    /// Tells the register who has joined.
    fn join(&mut self, shard: ShardId) -> io::Result<()> {
        let Some(driven) = self.shards.get_mut(&shard).filter(|driven| !driven.unjoined.is_empty()) else {
            return Ok(());
        };
        let sites: Vec<[u8; 32]> = driven.unjoined.iter().copied().collect();
        self.rounds.joined(shard, &sites)?;
        driven.unjoined.clear();
        Ok(())
    }

    /// Tells calls what is taken now, and people what goes on.
    fn tell(&self) {
        let present = match &self.present {
            _ if !self.known => Present::Unknown,
            None => Present::Idle,
            Some((_, round)) => {
                let longest = self.shards.values().map(|driven| driven.round.longest()).max();
                Present::Round { round: *round, longest: longest.unwrap_or_default() }
            }
        };
        self.tell.send_if_modified(|told| std::mem::replace(told, present) != present);
        let shards = self.shards.iter().map(|(&id, Driven { round, dropped, .. })| {
            let (steps, due, sites) = (round.steps(), round.due(), round.sites());
            LiveShard { id, steps, due, sites, waiting_for: round.waiting_for(), dropped: *dropped }
        });
        let live = Live { round: self.present.map(|(opened, _)| opened), shards: shards.collect() };
        self.show.send_if_modified(|shown| {
            let changed = *shown != live;
            *shown = live;
            changed
        });
    }

    fn take(&mut self, from: [u8; 32], id: RoundId, message: v1::SiteMessage) -> Result<(ShardId, Receipt), Busy> {
        self.goes_on(id)?;
        let shard = self.shard_of(&from).or_else(|| self.gathering(&message)).ok_or(Busy::Elsewhere)?;
        let driven = self.shards.get_mut(&shard).ok_or(Busy::Later)?;
        match driven.round.receive(from, message) {
            Ok(Ok(receipt)) => {
                if receipt == Receipt::Taken && driven.round.steps() == 0 {
                    driven.unjoined.insert(from);
                }
                Ok((shard, receipt))
            }
            // Full, with the next one to begin in a moment.
            Ok(Err(Rejected::Full)) => Err(Busy::Later),
            Ok(Err(rejected)) => Err(rejected.into()),
            Err(error) => {
                tracing::error!(%error, "a shard waits for its disk");
                self.shards.remove(&shard);
                Err(Busy::Later)
            }
        }
    }

    /// Whether this is the round that goes on.
    fn goes_on(&self, id: RoundId) -> Result<(), Busy> {
        match &self.present {
            _ if !self.known => Err(Busy::Later),
            Some((_, round)) if *round == id => Ok(()),
            _ => Err(Busy::Over),
        }
    }

    fn shard_of(&self, site: &[u8; 32]) -> Option<ShardId> {
        self.shards.iter().find(|(_, driven)| driven.round.knows(site)).map(|(shard, _)| *shard)
    }

    /// The shard that takes newcomers, where this is one's message.
    fn gathering(&self, message: &v1::SiteMessage) -> Option<ShardId> {
        let read = ToServer::read(message.clone());
        let newcomer = matches!(read, Some(ToServer::Advertisement(_) | ToServer::Split(_)));
        let gathers = self.shards.iter().find(|(_, driven)| driven.round.steps() == 0);
        gathers.filter(|_| newcomer).map(|(shard, _)| *shard)
    }

    /// Answers those whose shard has moved on, and forgets those who have gone.
    fn answer(&mut self) {
        for (_, listener) in std::mem::take(&mut self.listeners) {
            self.listen(listener);
        }
    }

    /// Answers one, or lets it wait.
    fn listen(&mut self, listener: Listener) {
        if listener.reply.is_closed() {
            return;
        }
        let heard = match self.goes_on(listener.round) {
            // Nobody knows yet.
            Err(Busy::Later) => None,
            // Another replica may know of it.
            Err(busy) => Some(Err(busy)),
            Ok(()) => match self.shard_of(&listener.from).and_then(|shard| self.shards.get_mut(&shard)) {
                None => Some(Err(Busy::Elsewhere)),
                Some(driven) => driven.heard(&listener).map(Ok),
            },
        };
        match heard {
            Some(heard) => drop(listener.reply.send(heard)),
            // Who asks again asks instead.
            None => drop(self.listeners.insert(listener.from, listener)),
        }
    }
}

impl<J: Journal> Driven<J> {
    /// What a listener hears; `None` while it has to wait.
    fn heard(&mut self, listener: &Listener) -> Option<Heard> {
        let steps = self.round.steps();
        if steps <= listener.steps {
            return None;
        }
        let message = self.round.message_for(&listener.from);
        let message = message.map(|(message, same)| {
            let encode = || Arc::new(v1::ServerMessage::from(message.clone()).encode_to_vec());
            match &self.same {
                Some((at, bytes)) if same && *at == steps => bytes.clone(),
                _ if same => self.same.insert((steps, encode())).1.clone(),
                _ => encode(),
            }
        });
        // The round is over when its release is there, or known not to come.
        Some(Heard { steps, message, over: false })
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
