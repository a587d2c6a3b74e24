//! The folder of segments: `NNNNNNNN/`, each whole. How one gets its name, which are there, which have to go.
//!
//! A name is given last, when all that it names is on the disk, and is taken away first. What has a name that begins with
//! [`MARK`] is in the making or on its way out; whoever opens the folder next removes it. Knows files; not what is in them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use walkdir::WalkDir;

use crate::room::{NoRoom, Room, disk};

/// How names begin and end of what is no segment.
const MARK: (&str, &str) = (".volet-", ".part");
const GONE: &str = ".volet-gone.part";
/// Clocks before 2025 are taken to be wrong: there was no such program then.
const PLAUSIBLE: Duration = Duration::from_secs(1_735_689_600);
const DAY: u64 = 24 * 60 * 60;
/// Bytes of the disk that are left to others, at most; or a twentieth of it.
const RESERVE: u64 = 8 << 20;

/// How much is kept. Whatever is reached first holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes that all segments take together.
    pub bytes: u64,
    /// For how many days a segment is kept; 0: as long as there is room.
    pub days: u32,
}

struct Kept {
    bytes: u64,
    modified: SystemTime,
}

pub(super) struct Shelf {
    folder: PathBuf,
    limits: Limits,
    kept: BTreeMap<u64, Kept>,
}

impl Shelf {
    /// Removes what a power cut left, and looks at what is there; also the bytes that were removed.
    pub(super) fn open(folder: &Path, limits: Limits) -> io::Result<(Self, u64)> {
        let mut shelf = Self { folder: folder.to_owned(), limits, kept: BTreeMap::new() };
        let swept = shelf.sweep()?;
        shelf.look()?;
        Ok((shelf, swept))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A place for what is in the making.
    pub(super) fn workshop(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}{what}{}", MARK.0, MARK.1))
    }

    /// The greatest number that is there; 0 without any.
    pub(super) fn last(&self) -> u64 {
        self.kept.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// How many segments there are, and their bytes.
    pub(super) fn kept(&self) -> (usize, u64) {
        (self.kept.len(), self.kept.values().map(|kept| kept.bytes).sum())
    }

    /// Gives a segment its name: what is in `made` is on the disk before, and the name at return. The bytes of it.
    pub(super) fn keep(&mut self, number: u64, made: &Path) -> io::Result<u64> {
        let mut bytes = 0;
        for entry in WalkDir::new(made).contents_first(true) {
            let entry = entry?;
            let file = File::open(entry.path())?;
            file.sync_all()?;
            let about = file.metadata()?;
            bytes += if about.is_file() { about.len() } else { 0 };
        }
        std::fs::rename(made, self.folder.join(name(number)))?;
        self.kept.insert(number, Kept { bytes, modified: SystemTime::now() });
        self.sync()?;
        Ok(bytes)
    }

    /// Removes segments that are older than they may be, by a clock that may have begun in 1970.
    pub(super) fn expire(&mut self, now: SystemTime) -> io::Result<usize> {
        self.look()?;
        let age = Duration::from_secs(u64::from(self.limits.days) * DAY);
        let oldest = plausible(now).and_then(|now| now.checked_sub(age)).filter(|_| self.limits.days > 0);
        let Some(oldest) = oldest else { return Ok(0) };
        let mut begun = now;
        let mut gone = Vec::new();
        for (number, kept) in self.kept.iter().rev() {
            // One of a time that cannot be is as old as the next one, at least; so is one of a time that has not come.
            begun = plausible(kept.modified).map_or(begun, |modified| modified.min(begun));
            if begun < oldest {
                gone.push(*number);
            }
        }
        gone.reverse();
        self.remove(&gone)?;
        Ok(gone.len())
    }

    /// Removes the oldest until `more` bytes have room beside `work` bytes that are written already; whether they have.
    pub(super) fn make_room(&mut self, work: u64, more: u64) -> io::Result<bool> {
        if !self.room(work, more).is_tight() {
            return Ok(true);
        }
        self.look()?;
        let held = self.kept.iter().map(|(number, kept)| (*number, kept.bytes, false));
        match self.room(work, more).surplus(held) {
            Ok(gone) => self.remove(&gone).map(|()| true),
            Err(NoRoom) => Ok(false),
        }
    }

    /// Removes the oldest segment, if there is one.
    pub(super) fn remove_oldest(&mut self) -> io::Result<bool> {
        let oldest: Vec<u64> = self.kept.keys().next().copied().into_iter().collect();
        self.remove(&oldest)?;
        Ok(!oldest.is_empty())
    }

    /// Removes what is in the making or on its way out; its bytes.
    pub(super) fn sweep(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(MARK.0) && name.ends_with(MARK.1) {
                bytes += length(&entry.path());
                remove(&entry.path())?;
            }
        }
        Ok(bytes)
    }

    fn room(&self, work: u64, more: u64) -> Room {
        let lack = disk(&self.folder).map_or(0, |(free, all)| {
            let reserve = RESERVE.min(all / 20);
            more.saturating_add(reserve).saturating_sub(free)
        });
        Room { bytes: self.limits.bytes, taken: self.kept().1.saturating_add(work), more, lack }
    }

    /// Looks at what is there: whoever owns the folder may have taken some away.
    fn look(&mut self) -> io::Result<()> {
        let mut there = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Some(number) = number(&entry.file_name().to_string_lossy()) else { continue };
            let kept = match self.kept.remove(&number) {
                Some(kept) => kept,
                // One that goes while it is looked at is not there.
                None => match entry.metadata().and_then(|about| about.modified()) {
                    Ok(modified) => Kept { bytes: length(&entry.path()), modified },
                    Err(_) => continue,
                },
            };
            there.insert(number, kept);
        }
        self.kept = there;
        Ok(())
    }

    /// Removes segments. None of them is ever there in part: its name goes first.
    fn remove(&mut self, gone: &[u64]) -> io::Result<()> {
        for number in gone {
            let out = self.folder.join(GONE);
            remove(&out)?;
            match std::fs::rename(self.folder.join(name(*number)), &out) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.kept.remove(number);
            self.sync()?;
            remove(&out)?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// Eight digits, or more where that is not enough: sorted by name they are sorted by number for a thousand years.
fn name(number: u64) -> String {
    format!("{number:08}")
}

fn number(name: &str) -> Option<u64> {
    let number = name.parse().ok()?;
    (self::name(number) == name).then_some(number)
}

/// A time of a clock that was set.
fn plausible(time: SystemTime) -> Option<SystemTime> {
    time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since >= PLAUSIBLE).then_some(time)
}

/// The bytes of all files in a folder, or of a file; what cannot be looked at counts as none.
pub(super) fn length(path: &Path) -> u64 {
    let files = WalkDir::new(path).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}

/// Removes a file, or a folder with all that is in it, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Limits = Limits { bytes: u64::MAX, days: 0 };

    /// A folder of segments, each of so many bytes and made on such a day; days count from 2026.
    fn shelf(limits: Limits, segments: &[(u64, usize, i64)]) -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(folder.path(), limits).unwrap().0;
        for (number, bytes, day) in segments {
            let made = shelf.workshop("work");
            std::fs::create_dir(&made).unwrap();
            std::fs::write(made.join("film"), vec![7; *bytes]).unwrap();
            shelf.keep(*number, &made).unwrap();
            File::open(folder.path().join(name(*number))).unwrap().set_modified(day_of(*day)).unwrap();
        }
        let shelf = Shelf::open(folder.path(), limits).unwrap().0;
        (folder, shelf)
    }

    fn day_of(day: i64) -> SystemTime {
        let second = 1_767_225_600 + day * DAY as i64;
        SystemTime::UNIX_EPOCH + Duration::from_secs(second as u64)
    }

    fn numbers(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_go_first_and_what_others_take_away_is_not_missed() {
        let (folder, mut shelf) = shelf(Limits { bytes: 100, days: 0 }, &[(1, 40, 0), (2, 30, 0), (3, 20, 0)]);
        assert!(shelf.make_room(0, 10).unwrap());
        assert_eq!(numbers(folder.path()).len(), 3);
        std::fs::remove_dir_all(folder.path().join("00000002")).unwrap();
        assert!(shelf.make_room(20, 20).unwrap());
        assert_eq!(numbers(folder.path()), ["00000001", "00000003"], "the second's bytes are free");
        assert!(shelf.make_room(20, 21).unwrap());
        assert_eq!(numbers(folder.path()), ["00000003"]);
        assert!(!shelf.make_room(80, 21).unwrap(), "there is not so much, whatever goes");
        assert_eq!(numbers(folder.path()), ["00000003"]);
        assert_eq!(shelf.last(), 3);
    }

    #[test]
    fn what_a_power_cut_left_goes_and_nothing_else() {
        let (folder, shelf) = shelf(WIDE, &[(7, 10, 0)]);
        for name in [".volet-work.part", ".volet-gone.part", ".volet", "7", "notes"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join(".volet-work.part/half"), [1; 5]).unwrap();
        std::fs::write(folder.path().join(".volet-x.part"), [1; 3]).unwrap();
        drop(shelf);
        let (shelf, swept) = Shelf::open(folder.path(), WIDE).unwrap();
        assert_eq!((swept, shelf.kept()), (8, (1, 10)));
        assert_eq!(numbers(folder.path()), [".volet", "00000007", "7", "notes"]);
    }

    #[test]
    fn a_clock_that_began_in_1970_makes_nothing_old() {
        let long_ago = -20_000;
        let segments = [(1, 1, 0), (2, 1, long_ago), (3, 1, 5), (4, 1, 90), (5, 1, long_ago)];
        let (folder, mut shelf) = shelf(Limits { bytes: u64::MAX, days: 10 }, &segments);
        assert_eq!(shelf.expire(day_of(long_ago)).unwrap(), 0, "now cannot be");
        assert_eq!(shelf.expire(day_of(9)).unwrap(), 0);
        // The second was made after the first and before the third, the fifth after all.
        assert_eq!(shelf.expire(day_of(12)).unwrap(), 1);
        assert_eq!(shelf.expire(day_of(16)).unwrap(), 2);
        assert_eq!(numbers(folder.path()), ["00000004", "00000005"]);
        assert_eq!(shelf.expire(day_of(99)).unwrap(), 0);
    }
}
