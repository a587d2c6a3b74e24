//! What shards' journals promise.

use std::io;

use volet_federated::aggregator::register::ShardId;
use volet_federated::aggregator::store::ShardJournal;
use volet_federated::round::Journal;

use crate::Storage;

const SHARD: ShardId = ShardId { round: 5, shard: 1 };
/// One whose name begins alike.
const OTHER: ShardId = ShardId { round: 5, shard: 10 };

fn open(storage: &Storage, shard: ShardId) -> io::Result<(ShardJournal, Vec<Vec<u8>>)> {
    let mut records = Vec::new();
    let journal = ShardJournal::open(storage.store.journal(shard)?, &mut |record| {
        records.push(record.to_vec());
        Ok(())
    })?;
    Ok((journal, records))
}

fn read(storage: &Storage, shard: ShardId) -> Vec<Vec<u8>> {
    open(storage, shard).unwrap().1
}

fn record(number: u8) -> Vec<u8> {
    vec![number; usize::from(number) * 10]
}

fn write(journal: &mut ShardJournal, records: impl IntoIterator<Item = u8>) -> io::Result<()> {
    records.into_iter().try_for_each(|number| journal.append(&record(number)))?;
    journal.sync()
}

fn records(numbers: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    numbers.map(record).collect()
}

pub(crate) fn records_come_back(storage: &Storage) {
    assert_eq!(read(storage, SHARD), records(0..0));
    let (mut journal, _) = open(storage, SHARD).unwrap();
    write(&mut journal, 0..3).unwrap();
    journal.sync().unwrap();
    write(&mut journal, 3..4).unwrap();
    drop(journal);
    let (mut journal, before) = open(storage, SHARD).unwrap();
    assert_eq!(before, records(0..4));
    write(&mut journal, 4..200).unwrap();
    drop(journal);
    assert_eq!(read(storage, SHARD), records(0..200));
    assert_eq!(read(storage, OTHER), records(0..0));
    // What a reader does not like ends the reading.
    let stopped = ShardJournal::open(storage.store.journal(SHARD).unwrap(), &mut |record| match record.len() {
        50 => Err(io::ErrorKind::InvalidData.into()),
        _ => Ok(()),
    });
    assert_eq!(stopped.err().unwrap().kind(), io::ErrorKind::InvalidData);
}

pub(crate) fn what_is_not_synced_may_be_lost(storage: &Storage) {
    let (mut journal, _) = open(storage, SHARD).unwrap();
    write(&mut journal, 0..2).unwrap();
    (2..5).for_each(|number| journal.append(&record(number)).unwrap());
    drop(journal);
    let there = read(storage, SHARD);
    assert!(there.len() >= 2 && there == records(0..there.len() as u8), "{}", there.len());
    let (mut journal, _) = open(storage, SHARD).unwrap();
    write(&mut journal, there.len() as u8..9).unwrap();
    drop(journal);
    assert_eq!(read(storage, SHARD), records(0..9));
}

pub(crate) fn a_removed_journal_is_gone(storage: &Storage) {
    for shard in [SHARD, OTHER] {
        let (mut journal, _) = open(storage, shard).unwrap();
        (0..40).for_each(|number| write(&mut journal, [number]).unwrap());
    }
    open(storage, SHARD).unwrap().0.remove().unwrap();
    assert_eq!((read(storage, SHARD), read(storage, OTHER)), (records(0..0), records(0..40)));
    let (mut journal, _) = open(storage, SHARD).unwrap();
    write(&mut journal, 0..3).unwrap();
    drop(journal);
    assert_eq!(read(storage, SHARD), records(0..3));
    for _ in 0..2 {
        storage.store.forget(SHARD).unwrap();
        storage.store.forget(OTHER).unwrap();
    }
    assert_eq!((read(storage, SHARD), read(storage, OTHER)), (records(0..0), records(0..0)));
}

pub(crate) fn long_records_come_back(storage: &Storage) {
    let long = |number: u8| vec![number; (usize::from(number) + 1) * (5 << 20)];
    let (mut journal, _) = open(storage, SHARD).unwrap();
    (0..4).for_each(|number| journal.append(&long(number)).unwrap());
    journal.append(b"").unwrap();
    journal.sync().unwrap();
    drop(journal);
    let mut number = 0;
    let again = ShardJournal::open(storage.store.journal(SHARD).unwrap(), &mut |record| {
        assert!(if number < 4 { record == long(number) } else { record.is_empty() });
        number += 1;
        Ok(())
    });
    assert_eq!((number, again.is_ok()), (5, true));
}

/// Each believes that the shard is its own, writes, and is told that it was written or has to read again: what it was told is
/// there, once, in its order, after what it had read before.
pub(crate) fn one_of_many_writers_goes_on(storage: &Storage) {
    if !storage.shared {
        return;
    }
    let written = storage.at_once(4, |storage, number| {
        let (mut written, mut refused) = (Vec::new(), 0);
        let (mut journal, _) = open(storage, SHARD).unwrap();
        while written.len() < 12 {
            let record = vec![number, written.len() as u8];
            match journal.append(&record).and_then(|()| journal.sync()) {
                Ok(()) => written.push(record),
                Err(_) => {
                    refused += 1;
                    journal = open(storage, SHARD).unwrap().0;
                }
            }
        }
        (written, refused)
    });
    let there = read(storage, SHARD);
    for (own, _) in &written {
        let found: Vec<_> = there.iter().filter(|record| record[0] == own[0][0]).cloned().collect();
        assert_eq!(found, *own);
    }
    assert_eq!(there.len(), 48);
    assert!(written.iter().map(|(_, refused)| refused).sum::<i32>() > 0);
    // One that has not noticed yet.
    let [mut first, mut second] = [(); 2].map(|()| open(storage, SHARD).unwrap().0);
    first.append(b"the same").unwrap();
    second.append(b"the same").unwrap();
    first.sync().unwrap();
    assert!(second.sync().is_err());
    assert_eq!(read(storage, SHARD).len(), 49);
}
