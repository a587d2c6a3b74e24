//! A journal in an object store: object after object, each written once and never changed, each with the records of one sync.
//!
//! An object's name is its number. Of two replicas that both believe a shard to be theirs, one writes number n, and the other
//! finds it written: that one has to read the journal again before it can write anything. So a record is there for good or was
//! never taken, whatever leases and clocks say.
//!
//! An object begins with a mark of this format, the writer's own random name and the hash of the object before; then each
//! record follows its length (4 bytes, little-endian). The writer's name tells it from another whose records are the same: a
//! write whose answer was lost is known by it. The hash tells objects of this journal from what an earlier one of the same name
//! may have left behind it.
//!
//! A replica that slept while its shard was ended by another, and the journal removed, may wake up and write one object more.
//! Nobody reads it: the register says that the shard has ended, and no other has its name.

use std::io;

use super::Store;
use super::objects::Objects;
use crate::aggregator::register::ShardId;
use crate::round::Journal;

const MARK: [u8; 8] = *b"volet 01";
const HEADER: usize = MARK.len() + 16 + 32;
/// From so many bytes on an object is written before it is asked for, so that reading needs no more memory at a time.
const LONG: usize = 16 << 20;
/// The greatest record, bytes: far beyond any message.
const LARGEST: usize = 256 << 20;

/// Where a journal lies.
pub struct At {
    pub(super) objects: Objects,
    pub(super) name: String,
}

/// A journal in an object store.
pub struct Segments {
    at: At,
    writer: [u8; 16],
    /// The number of the next object, and the hash of the last one.
    next: u64,
    before: [u8; 32],
    /// Records that no object holds yet.
    records: Vec<u8>,
}

pub(super) fn name(ShardId { round, shard }: ShardId) -> String {
    format!("rounds/{round}-{shard}")
}

impl Journal for Segments {
    type Place = At;

    fn open(at: At, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Self> {
        let mut writer = [0; 16];
        getrandom::fill(&mut writer).map_err(io::Error::other)?;
        let mut journal = Self { at, writer, next: 0, before: [0; 32], records: Vec::new() };
        while let Some(object) = journal.at.objects.get(&journal.object())? {
            let mut rest = journal.records_of(&object)?;
            while let Some((length, more)) = rest.split_first_chunk::<4>() {
                let record = more.split_at_checked(u32::from_le_bytes(*length) as usize);
                let (record, more) = record.ok_or_else(|| journal.damaged())?;
                each(record)?;
                rest = more;
            }
            if !rest.is_empty() {
                return Err(journal.damaged());
            }
            journal.follow(&object);
        }
        Ok(journal)
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if record.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.records.len() + record.len() > LONG {
            self.sync()?;
        }
        self.records.extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.records.extend_from_slice(record);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        let object = [&MARK[..], &self.writer, &self.before, &std::mem::take(&mut self.records)].concat();
        let name = self.object();
        if !self.at.objects.create(&name, object.clone())? {
            // By this writer, where a first try has come through and its answer has not.
            let there = self.at.objects.get(&name)?;
            if there.as_deref() != Some(&object) {
                return Err(io::Error::other("another replica writes this shard's journal"));
            }
        }
        self.follow(&object);
        Ok(())
    }

    fn remove(self) -> io::Result<()> {
        self.at.objects.remove_all(&self.at.name)
    }
}

impl Segments {
    /// The next object's name.
    fn object(&self) -> String {
        format!("{}/{:010}", self.at.name, self.next)
    }

    /// What follows an object's header, if it is the next one of this journal.
    fn records_of<'a>(&self, object: &'a [u8]) -> io::Result<&'a [u8]> {
        let (header, records) = object.split_at_checked(HEADER).ok_or_else(|| self.damaged())?;
        if !header.starts_with(&MARK) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if header.ends_with(&self.before) { Ok(records) } else { Err(self.damaged()) }
    }

    fn follow(&mut self, object: &[u8]) {
        (self.next, self.before) = (self.next + 1, *blake3::hash(object).as_bytes());
    }

    fn damaged(&self) -> io::Error {
        io::Error::other(format!("{} is damaged, or of another journal", self.object()))
    }
}
