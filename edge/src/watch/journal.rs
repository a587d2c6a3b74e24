//! What outlives the process: how many starts came to nothing, which number comes next, how much was written.
//!
//! One small file over any [`Storage`], replaced whole. Knows no clock: a day is 24 hours of running, since a device's clock may
//! begin in 1970 and jump.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use volet_federated::storage::{Storage, put};

use crate::summary::Wear;

const NAME: &str = "state";
/// The greatest state, bytes.
const SMALL: u64 = 1 << 12;
/// Milliseconds of a day.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    /// The greatest number of any segment.
    last: u64,
    /// Starts since the last segment that was whole and not covered for this very count.
    fruitless: u32,
    /// Milliseconds of the present day.
    day: u64,
    /// Bytes written: in the present day, in the one before, ever.
    today: u64,
    yesterday: u64,
    ever: u64,
}

/// The state, and where it is kept.
pub(super) struct Journal<S> {
    storage: S,
    state: State,
    /// Starts that had come to nothing before this one.
    before: u32,
}

impl<S: Storage> Journal<S> {
    /// Counts this start. What cannot be read or written counts as one start too many: see [`is_looping`](Self::is_looping). Where the
    /// disk refuses, it is tried again as long as `room` could be made.
    pub(super) fn start(storage: S, mut room: impl FnMut(&io::Error) -> bool) -> Self {
        let read = match storage.read(NAME, SMALL) {
            Ok(None) => Some(State::default()),
            Ok(Some(bytes)) => {
                let text = String::from_utf8_lossy(&bytes);
                toml::from_str(&text).ok().filter(|state: &State| state.version == 1)
            }
            Err(_) => None,
        };
        if read.is_none() {
            tracing::error!("the state of this camera's folder is damaged, so that its starts count as too many");
        }
        let state = read.unwrap_or(State { fruitless: u32::MAX, ..State::default() });
        let before = state.fruitless;
        let mut journal = Self { storage, state: State { version: 1, ..state }, before };
        journal.state.fruitless = before.saturating_add(1);
        while let Err(error) = journal.write() {
            if !room(&error) {
                tracing::error!(%error, "this start cannot be counted, so that it counts as one too many");
                journal.before = u32::MAX;
                break;
            }
        }
        journal
    }

    /// Whether so many starts in a row came to nothing before this one.
    pub(super) fn is_looping(&self, most: u32) -> bool {
        self.before >= most
    }

    /// Starts in a row that came to nothing, without this one.
    pub(super) fn fruitless(&self) -> u32 {
        self.before
    }

    /// This start ends in order: it counts no more.
    pub(super) fn excuse(&mut self) -> io::Result<()> {
        if self.state.fruitless == self.before {
            return Ok(());
        }
        self.state.fruitless = self.before;
        self.write()
    }

    /// A segment is whole, and has its name; `clear` where it was searched and not covered for starts that came to nothing.
    pub(super) fn whole(&mut self, number: u64, clear: bool, bytes: u64) -> io::Result<()> {
        self.state.last = self.state.last.max(number);
        if clear {
            (self.state.fruitless, self.before) = (0, 0);
        }
        self.wrote(bytes);
        self.write()
    }

    /// So much was written, besides the state itself. Written down with what follows.
    pub(super) fn wrote(&mut self, bytes: u64) {
        let bytes = bytes.saturating_add(SMALL);
        self.state.today = self.state.today.saturating_add(bytes);
        self.state.ever = self.state.ever.saturating_add(bytes);
    }

    /// So long did this process go on. Written down with what follows.
    pub(super) fn passes(&mut self, ran: Duration) {
        let state = &mut self.state;
        let day = state.day.saturating_add(u64::try_from(ran.as_millis()).unwrap_or(u64::MAX));
        if day >= DAY {
            // After more than a day without a word the day before is one in which nothing was written.
            (state.yesterday, state.today) = (if day < 2 * DAY { state.today } else { 0 }, 0);
        }
        state.day = day % DAY;
    }

    /// The number of the next segment, where `there` is the greatest that is there.
    pub(super) fn next(&self, there: u64) -> u64 {
        self.state.last.max(there).saturating_add(1)
    }

    pub(super) fn wear(&self) -> Wear {
        let State { today, yesterday, ever, .. } = self.state;
        Wear { today, yesterday, ever }
    }

    fn write(&mut self) -> io::Result<()> {
        let text = toml::to_string(&self.state).map_err(io::Error::other)?;
        put(&mut self.storage, NAME, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, Folder, Machine, Shared};
    use volet_federated::storage::MemoryStorage;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn folder(machine: &Shared) -> Folder {
        Folder { machine: machine.clone(), name: "camera" }
    }

    #[test]
    fn starts_that_come_to_nothing_are_counted_until_a_segment_is_whole() {
        let disk = std::rc::Rc::new(std::cell::RefCell::new(MemoryStorage::default()));
        let start = || Journal::start(disk.clone(), |_| false);
        for n in 0..3 {
            assert_eq!((start().fruitless(), start().is_looping(2 * n + 2)), (2 * n, false));
        }
        assert!(start().is_looping(6));
        let mut ends = start();
        ends.excuse().unwrap();
        assert_eq!(start().fruitless(), 7, "one that ended in order does not count");
        let mut covered = start();
        covered.whole(1, false, 10).unwrap();
        assert_eq!(start().fruitless(), 9, "a covered segment is no proof");
        let mut clear = start();
        clear.whole(2, true, 10).unwrap();
        clear.excuse().unwrap();
        assert_eq!((start().fruitless(), start().next(0), start().next(9)), (0, 3, 10));
    }

    #[test]
    fn a_day_is_a_day_of_running() {
        let hours = |journal: &Journal<MemoryStorage>| journal.state.day / 3_600_000;
        let mut journal = Journal::start(MemoryStorage::default(), |_| false);
        journal.passes(23 * HOUR);
        journal.whole(1, true, 1000).unwrap();
        assert_eq!((journal.wear().today, hours(&journal)), (1000 + SMALL, 23));
        journal.passes(2 * HOUR);
        journal.whole(2, true, 500).unwrap();
        let wear = Wear { today: 500 + SMALL, yesterday: 1000 + SMALL, ever: 1500 + 2 * SMALL };
        assert_eq!((journal.wear(), hours(&journal)), (wear, 1));
        journal.passes(60 * HOUR);
        assert_eq!((journal.wear().yesterday, hours(&journal)), (0, 13));
    }

    #[test]
    fn what_cannot_be_read_or_counted_counts_as_too_many() {
        let mut disk = MemoryStorage::default();
        disk.write(NAME, 0, b"version = 2").unwrap();
        let journal = Journal::start(disk, |_| false);
        assert!(journal.is_looping(u32::MAX));
        let machine = Machine::new(1, &[(2, Fault::NoSpace)]);
        assert!(Journal::start(folder(&machine), |_| false).is_looping(u32::MAX));
        let machine = Machine::new(1, &[(2, Fault::NoSpace)]);
        let full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        assert!(!Journal::start(folder(&machine), full).is_looping(1), "once there is room it is counted");
    }

    /// Three starts, of which the second makes two segments and the third ends in order; what is known to be on the disk.
    fn life(machine: &Shared, told: &mut Vec<State>) -> io::Result<()> {
        let tell = |journal: &Journal<Folder>, told: &mut Vec<State>| told.push(journal.state.clone());
        let start = || {
            let journal = Journal::start(folder(machine), |_| false);
            if journal.is_looping(u32::MAX) { Err(io::Error::other("not counted")) } else { Ok(journal) }
        };
        tell(&start()?, told);
        let mut second = start()?;
        for number in 1..3 {
            tell(&second, told);
            second.whole(number, true, 100)?;
        }
        tell(&second, told);
        let mut third = start()?;
        tell(&third, told);
        third.excuse()?;
        tell(&third, told);
        Ok(())
    }

    #[test]
    fn a_power_cut_at_any_operation_leaves_one_state_or_the_next() {
        let sound = Machine::new(0, &[]);
        let mut all = Vec::new();
        life(&sound, &mut all).unwrap();
        let operations = sound.borrow().operations;
        let mut cuts = 0;
        for at in 0..operations {
            for fault in [Fault::PowerBefore, Fault::PowerDuring, Fault::PowerAfter] {
                for seed in 0..8 {
                    let machine = Machine::new(seed, &[(at, fault)]);
                    let mut told = Vec::new();
                    let _ = life(&machine, &mut told);
                    machine.borrow_mut().mend();
                    machine.borrow_mut().reboot();
                    let after = Journal::start(folder(&machine), |_| false).state;
                    cuts += 1;
                    // It began with what was acknowledged or with what came next, and counted itself on top.
                    let nothing = State { version: 1, ..State::default() };
                    let possible = std::iter::once(&nothing).chain(&all);
                    let expected = |state: &State| State { fruitless: state.fruitless + 1, ..state.clone() };
                    let found = possible.skip(told.len()).take(2).any(|state| expected(state) == after);
                    assert!(found, "{fault:?} at {at}, seed {seed}: {after:?} after {told:?}");
                }
            }
        }
        assert!(cuts > 300, "{cuts}");
    }
}
