//! A disk that dies at its n-th operation: before it, in the middle of it, or after it; or fails it and lives on. Unlike
//! the machine that `federated`'s budget tests have, what was not synced is lost whole or stays whole; a write may be cut.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use volet_federated::storage::{MemoryStorage, Storage};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The power goes; what was not synced is lost.
    Lost,
    /// The power goes; what was not synced is there all the same, and a write under way in half.
    Kept,
    /// The operation fails and so do all later ones until the disk is mended: no space.
    Full,
    /// A sync that fails loses what it should have written at the next power cut.
    Io,
}

pub(super) const FAULTS: [Fault; 4] = [Fault::Lost, Fault::Kept, Fault::Full, Fault::Io];

#[derive(Default)]
struct State {
    /// What processes see.
    now: MemoryStorage,
    /// What a power cut leaves.
    durable: MemoryStorage,
    operations: usize,
    fault: Option<(usize, Fault)>,
    dead: bool,
}

/// One disk with two folders, by the beginnings of names.
#[derive(Clone, Default)]
pub(super) struct Disk(Rc<RefCell<State>>, &'static str);

impl Disk {
    pub(super) fn new(fault: Option<(usize, Fault)>) -> Self {
        Self(Rc::new(RefCell::new(State { fault, ..State::default() })), "ledger.")
    }

    pub(super) fn second(&self) -> Self {
        Self(self.0.clone(), "anchor.")
    }

    pub(super) fn operations(&self) -> usize {
        self.0.borrow().operations
    }

    /// The machine starts again, with a disk that works.
    pub(super) fn restart(&self) {
        let state = &mut *self.0.borrow_mut();
        if state.dead && matches!(state.fault, Some((_, Fault::Lost | Fault::Io))) {
            state.now = state.durable.clone();
        }
        (state.dead, state.fault) = (false, None);
    }

    /// Another fault is to come.
    pub(super) fn plan(&self, at: usize, fault: Fault) {
        self.0.borrow_mut().fault = Some((at, fault));
    }

    /// The power goes now, whatever was planned.
    pub(super) fn cut(&self) {
        let state = &mut *self.0.borrow_mut();
        state.now = state.durable.clone();
        (state.dead, state.fault) = (false, None);
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.1)
    }

    /// Whether an operation may go on; an error if not, and whether half of it still happens.
    fn operate(&self) -> Result<(), (io::Error, Option<Fault>)> {
        let state = &mut *self.0.borrow_mut();
        if state.dead {
            return Err((io::Error::other("the power is off"), None));
        }
        let number = state.operations;
        state.operations += 1;
        match state.fault {
            Some((at, fault)) if at == number || (fault == Fault::Full && number > at) => {
                state.dead = fault != Fault::Full && fault != Fault::Io;
                let error =
                    if fault == Fault::Full { io::ErrorKind::StorageFull.into() } else { io::Error::other("planned") };
                Err((error, Some(fault)))
            }
            _ => Ok(()),
        }
    }

    fn change(
        &self,
        half: impl FnOnce(&mut MemoryStorage),
        whole: impl FnOnce(&mut MemoryStorage) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.operate() {
            Ok(()) => whole(&mut self.0.borrow_mut().now),
            Err((error, fault)) => {
                if matches!(fault, Some(Fault::Kept | Fault::Full)) {
                    half(&mut self.0.borrow_mut().now);
                }
                Err(error)
            }
        }
    }

    /// What is seen of a file becomes durable under the name that is durable, or under its own where it is new.
    fn flush(&self, name: &str) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        if let Some(bytes) = state.now.read(name, u64::MAX)? {
            state.durable.write(name, 0, &bytes)?;
            state.durable.truncate(name, bytes.len() as u64)?;
        }
        Ok(())
    }
}

impl Storage for Disk {
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.operate().map_err(|(error, _)| error)?;
        self.0.borrow().now.read(&self.name(name), limit)
    }

    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.operate().map_err(|(error, _)| error)?;
        self.0.borrow().now.read_at(&self.name(name), offset, bytes)
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let name = self.name(name);
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        self.change(|now| now.write(&name, offset, half).unwrap(), |now| now.write(&name, offset, bytes))
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let name = self.name(name);
        self.change(|_| {}, |now| now.truncate(&name, length))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let name = self.name(name);
        self.change(|_| {}, |_| Ok(()))?;
        self.flush(&name)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.name(from), self.name(to));
        self.change(|_| {}, |now| now.rename(&from, &to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let name = self.name(name);
        self.change(|_| {}, |now| now.remove(&name))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.change(|_| {}, |_| Ok(()))?;
        let state = &mut *self.0.borrow_mut();
        let here = |names: Vec<String>| names.into_iter().filter(|name| name.starts_with(self.1)).collect::<Vec<_>>();
        let (now, before) = (here(state.now.list()?), here(state.durable.list()?));
        for name in before.iter().filter(|name| !now.contains(name)) {
            state.durable.remove(name)?;
        }
        // A file that was renamed was synced under its earlier name.
        for name in now {
            if let (None, Some(bytes)) = (state.durable.read(&name, u64::MAX)?, state.now.read(&name, u64::MAX)?) {
                state.durable.write(&name, 0, &bytes)?;
            } else if before.contains(&format!("{name}.new")) {
                let bytes = state.now.read(&name, u64::MAX)?.unwrap_or_default();
                state.durable.write(&name, 0, &bytes)?;
                state.durable.truncate(&name, bytes.len() as u64)?;
            }
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.operate().map_err(|(error, _)| error)?;
        let names = self.0.borrow().now.list()?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(self.1)).map(str::to_owned).collect())
    }
}
