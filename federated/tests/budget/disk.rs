//! A disk and a counter that fail on purpose: at any single operation the power goes, before it, halfway or after;
//! or there is no space, or an input/output error that loses what was to be synced, as Linux does.
//!
//! Unsynced data survives a power cut in part, with zeros or noise where the rest would be; unsynced names in any
//! selection.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use volet_federated::budget::{Mark, MonotonicCounter, RollbackProtection};
use volet_federated::storage::Storage;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    PowerBefore,
    PowerDuring,
    PowerAfter,
    NoSpace,
    Io,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [Self::PowerBefore, Self::PowerDuring, Self::PowerAfter, Self::NoSpace, Self::Io];
}

#[derive(Clone, Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Range<usize>>,
    length_dirty: bool,
}

/// What one operation does to names: each gets a file or loses it, all or none.
type NameChange = Vec<(String, Option<usize>)>;

/// A computer's disk, its cache and its hardware counter.
#[derive(Clone, Default)]
pub(crate) struct Machine {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    hardware: Mark,
    faults: Vec<(usize, Fault)>,
    noise: u64,
    pub(crate) operations: usize,
    pub(crate) off: bool,
}

pub(crate) type Shared = Rc<RefCell<Machine>>;

impl Machine {
    /// `faults` are by the number of the operation, counted over everything.
    pub(crate) fn new(seed: u64, faults: &[(usize, Fault)]) -> Shared {
        Rc::new(RefCell::new(Self { noise: seed, faults: faults.to_vec(), ..Self::default() }))
    }

    /// No fault any more.
    pub(crate) fn mend(&mut self) {
        self.faults.clear();
    }

    /// Power returns: what was synced is there, and of the rest what chance left.
    pub(crate) fn reboot(&mut self) {
        for i in 0..self.inodes.len() {
            self.settle(i);
        }
        for change in std::mem::take(&mut self.unsynced_names) {
            if self.below(2) == 0 {
                apply(&mut self.durable_names, change);
            }
        }
        self.names = self.durable_names.clone();
        self.off = false;
    }

    fn settle(&mut self, i: usize) {
        let Inode { cached, durable, dirty, length_dirty } = self.inodes[i].clone();
        let mut after = durable.clone();
        if length_dirty {
            let (short, long) = (cached.len().min(durable.len()), cached.len().max(durable.len()));
            after.resize(short + self.below(long - short + 1), 0);
        }
        // Sectors are small here, so that records are torn in many places.
        for at in dirty.into_iter().flatten() {
            if let Some(byte) = after.get_mut(at) {
                let whole = cached[at];
                match (self.noise >> 32).wrapping_add(at as u64 / 16 * 7) % 4 {
                    0 => *byte = 0,
                    1 => *byte = whole ^ 0x5a,
                    2 => *byte = whole,
                    _ => {}
                }
            }
        }
        self.below(2);
        self.inodes[i] = Inode { cached: after.clone(), durable: after, ..Inode::default() };
    }

    /// Does `whole`, or what the fault planned for this operation leaves of it.
    fn operate(
        &mut self,
        whole: impl FnOnce(&mut Self) -> io::Result<()>,
        half: impl FnOnce(&mut Self, Fault),
    ) -> io::Result<()> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        let number = self.operations;
        self.operations += 1;
        let fault = self.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
        match fault {
            None => return whole(self),
            Some(Fault::PowerBefore) => {}
            Some(Fault::PowerAfter) => drop(whole(self)),
            Some(fault) => half(self, fault),
        }
        self.off = matches!(fault, Some(Fault::PowerBefore | Fault::PowerDuring | Fault::PowerAfter));
        Err(match fault {
            Some(Fault::NoSpace) => io::ErrorKind::StorageFull.into(),
            _ => io::Error::other("planned fault"),
        })
    }

    /// The next number below `bound`, by splitmix64.
    fn below(&mut self, bound: usize) -> usize {
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.noise;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn inode(&mut self, name: &str) -> usize {
        if let Some(&i) = self.names.get(name) {
            return i;
        }
        self.inodes.push(Inode::default());
        let i = self.inodes.len() - 1;
        self.change_names(vec![(name.to_owned(), Some(i))]);
        i
    }

    fn change_names(&mut self, change: NameChange) {
        apply(&mut self.names, change.clone());
        self.unsynced_names.push(change);
    }

    fn write(&mut self, name: &str, start: usize, bytes: &[u8]) {
        let i = self.inode(name);
        let file = &mut self.inodes[i];
        let end = start + bytes.len();
        if file.cached.len() < end {
            file.cached.resize(end, 0);
            file.length_dirty = true;
        }
        file.cached[start..end].copy_from_slice(bytes);
        file.dirty.push(start..end);
    }

    /// Syncs what is dirty below `end`.
    fn sync(&mut self, name: &str, end: usize) {
        let i = self.inode(name);
        let Inode { cached, durable, dirty, length_dirty } = &mut self.inodes[i];
        if *length_dirty {
            durable.resize(cached.len().min(end), 0);
        }
        for at in dirty.iter().cloned().flatten().filter(|&at| at < end && at < cached.len()) {
            if durable.len() <= at {
                durable.resize(at + 1, 0);
            }
            durable[at] = cached[at];
        }
    }

    fn now_clean(&mut self, name: &str) {
        let i = self.inode(name);
        self.inodes[i].dirty.clear();
        self.inodes[i].length_dirty = false;
    }
}

fn apply(names: &mut BTreeMap<String, usize>, change: NameChange) {
    for (name, inode) in change {
        match inode {
            Some(inode) => names.insert(name, inode),
            None => names.remove(&name),
        };
    }
}

/// One folder of a machine.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) machine: Shared,
    pub(crate) name: &'static str,
}

impl Folder {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }
}

impl Storage for Folder {
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let machine = &mut *self.machine.borrow_mut();
        machine.operate(|_| Ok(()), |_, _| {})?;
        let bytes = machine.names.get(&self.path(name)).map(|&i| machine.inodes[i].cached.clone());
        assert!(bytes.as_ref().is_none_or(|bytes| bytes.len() as u64 <= limit));
        Ok(bytes)
    }

    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let whole = self.read(name, u64::MAX)?.ok_or(io::ErrorKind::NotFound)?;
        let rest = whole.get(offset as usize..).unwrap_or_default();
        bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(rest.len().min(bytes.len()))
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (path, offset) = (self.path(name), offset as usize);
        let whole = |machine: &mut Machine| {
            machine.write(&path, offset, bytes);
            Ok(())
        };
        self.machine.borrow_mut().operate(whole, |machine, _| {
            let part = machine.below(bytes.len() + 1);
            machine.write(&path, offset, &bytes[..part]);
        })
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let path = self.path(name);
        let whole = |machine: &mut Machine| {
            let i = machine.inode(&path);
            machine.inodes[i].cached.truncate(length as usize);
            machine.inodes[i].dirty.retain_mut(|range| {
                range.end = range.end.min(length as usize);
                range.start < range.end
            });
            machine.inodes[i].length_dirty = true;
            Ok(())
        };
        self.machine.borrow_mut().operate(whole, |_, _| {})
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let whole = |machine: &mut Machine| {
            machine.sync(&path, usize::MAX);
            machine.now_clean(&path);
            Ok(())
        };
        self.machine.borrow_mut().operate(whole, |machine, fault| {
            if fault == Fault::Io {
                // The pages that could not be written count as clean, and the next sync says nothing of them.
                machine.now_clean(&path);
            } else {
                let i = machine.inode(&path);
                let part = machine.below(machine.inodes[i].cached.len() + 1);
                if machine.inodes[i].durable.len() < part {
                    machine.sync(&path, part);
                }
            }
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        let whole = |machine: &mut Machine| {
            let i = machine.names.get(&from).copied().ok_or(io::ErrorKind::NotFound)?;
            machine.change_names(vec![(from, None), (to, Some(i))]);
            Ok(())
        };
        self.machine.borrow_mut().operate(whole, |_, _| {})
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let whole = |machine: &mut Machine| {
            machine.change_names(vec![(path, None)]);
            Ok(())
        };
        self.machine.borrow_mut().operate(whole, |_, _| {})
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let folder = self.path("");
        let here = |change: &mut NameChange| change.iter().all(|(name, _)| name.starts_with(&folder));
        let whole = |machine: &mut Machine| {
            for change in machine.unsynced_names.extract_if(.., here) {
                apply(&mut machine.durable_names, change);
            }
            Ok(())
        };
        self.machine.borrow_mut().operate(whole, |machine, _| {
            if let Some(first) = machine.unsynced_names.extract_if(.., here).next() {
                apply(&mut machine.durable_names, first);
            }
        })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let machine = &mut *self.machine.borrow_mut();
        machine.operate(|_| Ok(()), |_, _| {})?;
        let prefix = self.path("");
        Ok(machine.names.keys().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect())
    }
}

/// A machine's hardware counter, which keeps hashes or only counts.
#[derive(Clone)]
pub(crate) struct Hardware {
    pub(crate) machine: Shared,
    pub(crate) anchor: bool,
}

impl MonotonicCounter for Hardware {
    fn read(&mut self) -> io::Result<Mark> {
        let machine = &mut *self.machine.borrow_mut();
        machine.operate(|_| Ok(()), |_, _| {})?;
        Ok(machine.hardware)
    }

    fn advance(&mut self, head: [u8; 32]) -> io::Result<u64> {
        let machine = &mut *self.machine.borrow_mut();
        let next = Mark { count: machine.hardware.count + 1, head: self.anchor.then_some(head) };
        let whole = |machine: &mut Machine| {
            machine.hardware = next;
            Ok(())
        };
        let either = |machine: &mut Machine, _| {
            if machine.below(2) == 0 {
                machine.hardware = next;
            }
        };
        machine.operate(whole, either)?;
        Ok(machine.hardware.count)
    }

    fn protection(&self) -> RollbackProtection {
        if self.anchor { RollbackProtection::Anchor } else { RollbackProtection::Counter }
    }
}
