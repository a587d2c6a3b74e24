//! Whatever a disk can hold where a journal should be: bytes as the file, or as records in whole frames, of a round and of a
//! participation. Never a panic, and what was read is read the same again.
#![no_main]

use std::cell::RefCell;
use std::rc::Rc;

use volet_federated::participation::Participation;
use volet_federated::round::{Journal, Log, Round, Time};
use volet_federated::secagg::{Identity, enrol};
use volet_federated::signing::SigningKey;
use volet_federated::storage::{MemoryStorage, Storage};

type Disk = Rc<RefCell<MemoryStorage>>;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((framed, mut bytes)) = data.split_first() else { return };
    let mut disk = Disk::default();
    if framed % 4 == 0 {
        disk.write("log", 0, bytes).expect("memory does not fail");
    } else {
        let mut log = Log::open(disk.clone(), &mut |_| Ok(())).expect("memory does not fail");
        while let Some((length, rest)) = bytes.split_first() {
            let (record, rest) = rest.split_at(usize::from(*length).min(rest.len()));
            log.append(record).expect("memory does not fail");
            bytes = rest;
        }
        log.sync().expect("memory does not fail");
    }
    if let Ok(Some(round)) = Round::<Log<Disk>>::resume(disk.clone(), Time(0)) {
        let again = Round::<Log<Disk>>::resume(disk.clone(), Time(0)).expect("as before").expect("as before");
        assert_eq!((round.steps(), round.sites()), (again.steps(), again.sites()));
    }
    let site = SigningKey::from([7; 32]);
    let identity = || Identity::new(site, enrol(&SigningKey::from([42; 32]), &(&site).into()));
    if let Ok(Some(part)) = Participation::resume(disk.clone(), identity()) {
        let again = Participation::resume(disk, identity()).expect("as before").expect("as before");
        assert_eq!(part.answer(), again.answer());
    }
});
