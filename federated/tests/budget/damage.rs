//! Whatever is done to the files, nothing is refunded and nothing is computed twice.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use volet_federated::budget::{
    BudgetError, Damage, Day, DeviceSecret, FileCounter, Ledger, Mark, MonotonicCounter, Refusal, RollbackProtection,
    Statement, Trust,
};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::{MemoryStorage, Storage};

use crate::disk::{Hardware, Machine};
use crate::{limits, owner, released, reserved, rho, round, secret, signed, terms};

const LOG: &str = "ledger";
const LARGE: u64 = u64::MAX;

/// A hardware counter that only counts, at a value.
#[derive(Clone, Debug)]
struct At(u64);

impl MonotonicCounter for At {
    fn read(&mut self) -> io::Result<Mark> {
        Ok(Mark { count: self.0, head: None })
    }

    fn advance(&mut self, _: [u8; 32]) -> io::Result<u64> {
        self.0 += 1;
        Ok(self.0)
    }

    fn protection(&self) -> RollbackProtection {
        RollbackProtection::Counter
    }
}

/// A storage that outlives its ledger.
type Kept = Rc<RefCell<MemoryStorage>>;

fn with(files: &MemoryStorage) -> Kept {
    Rc::new(RefCell::new(files.clone()))
}

/// What lies there now.
fn there(kept: &Kept) -> MemoryStorage {
    kept.borrow().clone()
}

/// The files after each of the seven records of two rounds and another policy. Round 1 is forgotten, round 2 sealed.
fn history() -> Vec<MemoryStorage> {
    let kept = Kept::default();
    let wide = limits("1", "1", "1", "1");
    let create = Ledger::create(kept.clone(), At(0), &secret(), &(&owner()).into(), signed(1, wide));
    let mut ledger = create.unwrap();
    let mut history = vec![there(&kept)];
    for number in [1, 2] {
        let reservation = reserved(ledger.reserve(terms(number, "0.1"), Day(1)).unwrap());
        history.push(there(&kept));
        ledger.seal(reservation, vec![number as u8; 30]).unwrap();
        history.push(there(&kept));
    }
    ledger.forget(round(1, 1)).unwrap();
    history.push(there(&kept));
    ledger.set_policy(signed(2, wide)).unwrap();
    history.push(there(&kept));
    history
}

fn log(files: &MemoryStorage) -> Vec<u8> {
    files.read(LOG, LARGE).unwrap().unwrap()
}

fn with_log(files: &MemoryStorage, log: &[u8]) -> MemoryStorage {
    let mut files = files.clone();
    files.remove(LOG).unwrap();
    files.write(LOG, 0, log).unwrap();
    files
}

fn open(files: &MemoryStorage, count: u64) -> Result<Ledger<Kept, At>, BudgetError> {
    Ledger::open(with(files), At(count), &secret())
}

fn damage(files: &MemoryStorage, count: u64) -> Damage {
    match open(files, count).unwrap_err() {
        BudgetError::Exhausted(damage) => damage,
        error => panic!("{error}"),
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_exhaustion() {
    let history = history();
    let files = history.last().unwrap();
    let count = history.len() as u64;
    let whole = log(files);
    assert!(open(files, count).is_ok());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let found = damage(&with_log(files, &flipped), count);
        assert!(matches!(found, Damage::Lost { .. } | Damage::WrongSecret | Damage::Format { .. }), "{at}: {found}");
        let found = damage(&with_log(files, &whole[..at]), count);
        assert!(matches!(found, Damage::Lost { .. }), "{at}: {found}");
    }
}

#[test]
fn records_in_another_order_or_twice_are_exhaustion() {
    let history = history();
    let ends: Vec<usize> = history.iter().map(|files| log(files).len()).collect();
    let (files, count) = (history.last().unwrap(), history.len() as u64);
    let whole = log(files);
    let records: Vec<&[u8]> =
        ends.iter().enumerate().map(|(i, &end)| &whole[if i == 0 { 0 } else { ends[i - 1] }..end]).collect();
    for i in 0..records.len() {
        for j in 0..records.len() {
            if i != j {
                let mut swapped = records.clone();
                swapped.swap(i, j);
                assert!(matches!(damage(&with_log(files, &swapped.concat()), count), Damage::Lost { .. }));
            }
        }
        let mut missing = records.clone();
        missing.remove(i);
        assert!(matches!(damage(&with_log(files, &missing.concat()), count), Damage::Lost { .. }));
        let mut twice = records.clone();
        twice.insert(i, records[i]);
        // The last record again is no record: a tail that was never acknowledged.
        let opened = open(&with_log(files, &twice.concat()), count);
        assert_eq!(opened.is_ok(), i + 1 == records.len());
    }
}

#[test]
fn a_record_of_another_past_does_not_continue_this_one() {
    let past = |number| {
        let kept = Kept::default();
        let policy = signed(1, limits("1", "1", "1", "1"));
        let made = Ledger::create(kept.clone(), At(0), &secret(), &(&owner()).into(), policy);
        let mut ledger = made.unwrap();
        for number in [number, 3] {
            reserved(ledger.reserve(terms(number, "0.1"), Day(1)).unwrap());
        }
        there(&kept)
    };
    let (ours, other) = (past(1), past(2));
    // Records of the same kind are of the same length.
    let at = log(&ours).len() - (log(&ours).len() - log(&history()[0]).len()) / 2;
    let spliced = [&log(&ours)[..at], &log(&other)[at..]].concat();
    assert_eq!(damage(&with_log(&ours, &spliced), 3), Damage::Lost { counter: 3, readable: 2 });
    let read = Statement::unverified(&spliced).unwrap();
    assert_eq!(read.trust, Trust::Unverified { unread: spliced.len() - at });
}

#[test]
fn a_hardware_counter_notices_every_rollback_and_every_reset() {
    let history = history();
    let last = history.len() as u64;
    for (files, records) in history.iter().zip(1..) {
        for count in 0..=last + 1 {
            let opened = open(files, count);
            // Power that fails between record and count leaves the counter one behind, never ahead.
            let clean = count == records || count + 1 == records;
            assert_eq!(opened.is_ok(), clean, "{records} records, counter at {count}");
            if let Err(error) = opened {
                assert!(matches!(error, BudgetError::Exhausted(_)), "{error}");
            }
        }
    }
    let empty = MemoryStorage::default();
    assert!(matches!(open(&empty, 0), Err(BudgetError::NotCreated)));
    assert_eq!(damage(&empty, 3), Damage::Missing { counter: 3 });
}

#[test]
fn a_counter_in_a_file_notices_one_rollback_and_says_that_it_misses_both() {
    let (ledger, counter) = (Kept::default(), Kept::default());
    let start = || Ledger::open(ledger.clone(), FileCounter::new(counter.clone()), &secret());
    let policy = signed(1, limits("1", "1", "1", "0.1"));
    let made = Ledger::create(ledger.clone(), FileCounter::new(counter.clone()), &secret(), &(&owner()).into(), policy);
    let mut device = made.unwrap();
    assert_eq!(device.explain().trust, Trust::Verified(RollbackProtection::File));
    let before = (there(&ledger), there(&counter));
    let reservation = reserved(device.reserve(terms(1, "0.1"), Day(1)).unwrap());
    device.seal(reservation, vec![1]).unwrap();

    let after = (there(&ledger), there(&counter));
    *ledger.borrow_mut() = before.0.clone();
    assert!(matches!(start(), Err(BudgetError::Exhausted(Damage::Lost { .. }))));
    *ledger.borrow_mut() = after.0;
    *counter.borrow_mut() = before.1.clone();
    assert!(matches!(start(), Err(BudgetError::Exhausted(Damage::Counter { .. }))));
    *ledger.borrow_mut() = before.0;
    assert_eq!(start().unwrap().explain().lifetime.spent, rho("0"));
}

/// The power is cut between a record and its count; the disk of before is put back, and the device writes another record
/// in its place, which is counted; then the disk with the first is put back.
#[test]
fn a_counter_that_keeps_hashes_notices_a_replaced_record() {
    for anchor in [true, false] {
        let counter = Hardware { machine: Machine::new(1, &[]), anchor };
        let kept = Kept::default();
        let policy = signed(1, limits("1", "1", "1", "1"));
        let key = VerifyingKey::from(&owner());
        let mut ledger = Ledger::create(kept.clone(), counter.clone(), &secret(), &key, policy).unwrap();
        let before = there(&kept);
        counter.machine.borrow_mut().off = true;
        assert!(ledger.reserve(terms(1, "0.1"), Day(1)).is_err());
        let uncounted = there(&kept);
        counter.machine.borrow_mut().off = false;
        assert!(matches!(ledger.reserve(terms(1, "0.1"), Day(1)), Err(BudgetError::Reopen)));

        let mut other = Ledger::open(with(&before), counter.clone(), &secret()).unwrap();
        reserved(other.reserve(terms(2, "0.2"), Day(1)).unwrap());
        let opened = Ledger::open(with(&uncounted), counter.clone(), &secret());
        match opened {
            Err(BudgetError::Exhausted(Damage::Replaced { number: 2 })) => assert!(anchor),
            Ok(ledger) => assert!(!anchor && ledger.explain().trust == Trust::Verified(RollbackProtection::Counter)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn another_secret_opens_nothing() {
    let history = history();
    let (files, count) = (history.last().unwrap(), history.len() as u64);
    let opened = Ledger::open(with(files), At(count), &DeviceSecret::from_bytes([8; 32]));
    assert!(matches!(opened, Err(BudgetError::Exhausted(Damage::WrongSecret))));
}

#[test]
fn a_ledger_is_made_once() {
    let history = history();
    let create = |files: &MemoryStorage, count| {
        let policy = signed(1, limits("1", "1", "1", "1"));
        Ledger::create(with(files), At(count), &secret(), &(&owner()).into(), policy)
    };
    let files = history.last().unwrap();
    assert!(matches!(create(files, 0), Err(BudgetError::Exists)));
    let mut without = files.clone();
    without.remove(LOG).unwrap();
    // A payload tells of a ledger that is gone; so does the counter.
    assert!(matches!(create(&without, 0), Err(BudgetError::Exists)));
    let empty = MemoryStorage::default();
    let lost = create(&empty, 1).unwrap_err();
    assert!(matches!(lost, BudgetError::Exhausted(Damage::Missing { counter: 1 })));
    let stranger = VerifyingKey::from(&SigningKey::from([8; 32]));
    let policy = signed(1, limits("1", "1", "1", "1"));
    let unsigned = Ledger::create(Kept::default(), At(0), &secret(), &stranger, policy);
    assert!(matches!(unsigned, Err(BudgetError::Policy(_))));
}

#[test]
fn a_payload_that_is_not_as_it_was_is_never_made_again() {
    let history = history();
    let (files, count) = (history.last().unwrap(), history.len() as u64);
    let name = files.list().unwrap().into_iter().find(|name| name.starts_with("payload-")).unwrap();
    let mut missing = files.clone();
    missing.remove(&name).unwrap();
    let mut altered = files.clone();
    altered.write(&name, 3, &[9]).unwrap();
    let mut longer = files.clone();
    longer.write(&name, 1 << 25, &[9]).unwrap();
    for damaged in [missing, altered, longer] {
        let mut ledger = open(&damaged, count).unwrap();
        let refused = ledger.reserve(terms(2, "0.1"), Day(1)).unwrap_err();
        assert!(matches!(refused, BudgetError::Refused(Refusal::PayloadLost(lost)) if lost == round(1, 2)));
        // Other rounds go on.
        reserved(ledger.reserve(terms(3, "0.1"), Day(1)).unwrap());
    }
    let kept = released(open(files, count).unwrap().reserve(terms(2, "0.1"), Day(1)).unwrap());
    assert_eq!(kept.payload(), [2; 30]);
}

#[test]
fn what_was_never_acknowledged_is_cut_off_or_kept_but_never_more() {
    let history = history();
    let (files, count) = (history.last().unwrap(), history.len() as u64);
    for tail in [vec![0; 1], vec![0xff; 200], vec![0; 17 << 10]] {
        let torn = with(&with_log(files, &[log(files), tail].concat()));
        let mut ledger = Ledger::open(torn.clone(), At(count), &secret()).unwrap();
        assert_eq!(ledger.explain().lifetime.spent, rho("0.2"));
        assert_eq!(log(&there(&torn)), log(files));
        reserved(ledger.reserve(terms(3, "0.1"), Day(1)).unwrap());
        assert_eq!(open(&there(&torn), count + 1).unwrap().explain().lifetime.spent, rho("0.3"));
    }
    let endless = with_log(files, &[log(files), vec![0; 18 << 10]].concat());
    assert!(matches!(damage(&endless, count), Damage::Tail { .. }));
}

#[test]
fn strays_of_a_power_cut_are_removed() {
    let history = history();
    let (files, count) = (history.last().unwrap(), history.len() as u64);
    let mut strays = files.clone();
    strays.write("payload-of-nothing", 0, &[1]).unwrap();
    strays.write("ledger.new", 0, &[1]).unwrap();
    let kept = with(&strays);
    Ledger::open(kept.clone(), At(count), &secret()).unwrap();
    let names: Vec<String> = kept.list().unwrap().into_iter().filter(|name| name.starts_with("payload-")).collect();
    assert_eq!(names.len(), 1);
    assert!(files.list().unwrap().contains(&names[0]));
}

#[test]
fn an_auditor_reads_the_same_without_the_secret() {
    let history = history();
    let (files, count) = (history.last().unwrap(), history.len() as u64);
    let verified = open(files, count).unwrap().explain();
    let torn = [log(files), vec![1; 5]].concat();
    let read = Statement::unverified(&torn).unwrap();
    assert_eq!(read.trust, Trust::Unverified { unread: 5 });
    assert_eq!(Statement { trust: verified.trust, ..read }, verified);
    assert_eq!(verified.device, secret().fingerprint());
    assert!(Statement::unverified(&[]).is_err());
}
