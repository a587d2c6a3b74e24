//! Which program runs at the next start: what proved itself, what is on trial, and what came with the system.
//!
//! One small file over any [`Storage`], replaced whole. Knows names of slots and no programs.

use std::fmt::Display;
use std::io;

use serde::{Deserialize, Serialize};
use volet_federated::storage::{Storage, put};

const NAME: &str = "state";
/// The greatest state, bytes.
const SMALL: u64 = 1 << 12;
/// How many starts a program has to prove itself.
pub const TRIES: u32 = 3;

/// Where a program lies. There are two, so that the one that proved itself stays while the next is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    pub(super) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The name of the program's file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::A, Self::B].into_iter().find(|slot| slot.name() == name)
    }
}

/// A program that has yet to prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    pub(super) slot: Slot,
    pub(super) number: u64,
    pub(super) starts: u32,
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    version: u32,
    /// BLAKE3 of the program that came with the system, by its first start after what was installed; 64 hexadecimal digits.
    system: Option<String>,
    /// The greatest number that proved itself.
    pub(super) floor: u64,
    /// What runs where nothing is on trial; nothing: the system's.
    pub(super) proven: Option<Slot>,
    /// What ran before it, in the other slot.
    pub(super) before: Option<Slot>,
    pub(super) trial: Option<Trial>,
}

/// The state, and where it is kept. Errors are the storage's; after one the next start decides anew.
pub(super) struct Register<S> {
    storage: S,
    state: State,
}

impl<S: Storage> Register<S> {
    /// Reads the state. A damaged one is an error: which program proved itself is not known then.
    pub(super) fn open(storage: S) -> io::Result<Self> {
        let Some(bytes) = storage.read(NAME, SMALL)? else {
            return Ok(Self { storage, state: State { version: 1, ..State::default() } });
        };
        let text = std::str::from_utf8(&bytes).map_err(io::Error::other)?;
        let state: State = toml::from_str(text).map_err(io::Error::other)?;
        if state.version != 1 {
            return Err(io::Error::other("it is of a later version of this program"));
        }
        Ok(Self { storage, state })
    }

    /// The program that came with the system has this hash. Where it had another one, another system was installed since: what comes
    /// with that runs, and what was added to the old one does not.
    pub(super) fn beside(&mut self, system: blake3::Hash) -> io::Result<()> {
        let system = Some(system.to_string());
        if self.state.system.is_none() {
            return self.put(State { system, ..self.state.clone() });
        }
        if self.state.system == system {
            return Ok(());
        }
        tracing::info!("another system was installed, and its program runs");
        self.put(State { version: 1, system, floor: self.state.floor, ..State::default() })
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The slot that the next program goes to: not that of the one that proved itself.
    pub(super) fn spare(&self) -> Slot {
        self.state.proven.map_or(Slot::A, Slot::other)
    }

    /// Nothing in this slot is to run from here on.
    pub(super) fn empty(&mut self, slot: Slot) -> io::Result<()> {
        let state = self.state.clone();
        let (trial, before) =
            (state.trial.filter(|trial| trial.slot != slot), state.before.filter(|before| *before != slot));
        self.put(State { trial, before, ..state })
    }

    /// What lies in `slot` is tried from the next start on.
    pub(super) fn try_out(&mut self, slot: Slot, number: u64) -> io::Result<()> {
        let trial = Some(Trial { slot, number, starts: 0 });
        // Whoever installs the first one need not be the system's program, nor know it.
        let system = self.state.system.clone().filter(|_| self.state.proven.is_some());
        self.put(State { trial, system, ..self.state.clone() })
    }

    /// Runs what is to run, or what ran before where that cannot be run; nothing where only the system's is left. `run` is told the
    /// number that is on trial in the slot, if one is.
    pub(super) fn run<T, E: Display>(&mut self, mut run: impl FnMut(Slot, Option<u64>) -> Result<T, E>) -> Option<T> {
        let mut slot = self.start()?;
        loop {
            let trial = self.state.trial.filter(|trial| trial.slot == slot);
            let error = match run(slot, trial.map(|trial| trial.number)) {
                Ok(ran) => return Some(ran),
                Err(error) => error,
            };
            tracing::error!(%error, ?slot, "a program cannot be run: what ran before it is tried");
            slot = if trial.is_some() {
                self.refuse();
                self.state.proven?
            } else {
                self.state.before.filter(|_| self.state.proven == Some(slot))?
            };
        }
    }

    /// What is to run now; nothing: the system's. A start on trial is counted before it can fail, and one that cannot be counted is
    /// none.
    fn start(&mut self) -> Option<Slot> {
        let Some(trial) = self.state.trial else { return self.state.proven };
        if trial.starts >= TRIES {
            tracing::error!(
                release = trial.number,
                "a program did not prove itself in {TRIES} starts: the one before it runs"
            );
            self.refuse();
            return self.state.proven;
        }
        let counted = Trial { starts: trial.starts + 1, ..trial };
        match self.put(State { trial: Some(counted), ..self.state.clone() }) {
            Ok(()) => Some(trial.slot),
            Err(error) => {
                tracing::error!(%error, "a start of the program on trial cannot be counted: the one before it runs");
                self.state.proven
            }
        }
    }

    /// What is on trial is tried no more.
    fn refuse(&mut self) {
        let next = State { trial: None, ..self.state.clone() };
        if let Err(error) = self.put(next) {
            tracing::error!(%error, "it cannot be written down that the program on trial is not to run");
            self.state.trial = None;
        }
    }

    /// The release of this number proved itself in `slot`; whether that is news. One that was not even started is another one, which
    /// came meanwhile.
    pub(super) fn proves(&mut self, slot: Slot, number: u64) -> io::Result<bool> {
        let on_trial = |trial: &Trial| (trial.slot, trial.number) == (slot, number) && trial.starts > 0;
        let Some(trial) = self.state.trial.filter(on_trial) else { return Ok(false) };
        let State { proven, floor, .. } = self.state;
        let next = State {
            trial: None,
            proven: Some(slot),
            before: proven.filter(|before| *before != slot),
            floor: floor.max(trial.number),
            ..self.state.clone()
        };
        self.put(next)?;
        Ok(true)
    }

    /// One step back: from what is on trial to what proved itself, from that to what did before, and from that to the system's.
    pub(super) fn back(&mut self) -> io::Result<()> {
        let next = match self.state.trial {
            Some(_) => State { trial: None, ..self.state.clone() },
            None => State { proven: self.state.before, before: None, ..self.state.clone() },
        };
        self.put(next)
    }

    fn put(&mut self, next: State) -> io::Result<()> {
        if next == self.state {
            return Ok(());
        }
        let text = toml::to_string(&next).map_err(io::Error::other)?;
        put(&mut self.storage, NAME, text.as_bytes())?;
        self.state = next;
        Ok(())
    }
}
