//! Disks that fail at every single operation, and power that does.

use proptest::prelude::*;

use super::*;
use crate::disk::{Fault, Folder, Machine, Shared};

/// What is done to a buffer, each until it has been acknowledged.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Make,
    Add(u32),
    Improve(u32),
    Correct(u32),
    Wipe,
}

const DEEDS: [Deed; 14] = [
    Deed::Make,
    Deed::Add(1),
    Deed::Add(2),
    Deed::Improve(2),
    Deed::Correct(2),
    Deed::Improve(2),
    Deed::Add(3),
    Deed::Add(4),
    Deed::Improve(4),
    Deed::Add(5),
    Deed::Wipe,
    Deed::Add(6),
    Deed::Add(7),
    Deed::Correct(7),
];

fn corrected() -> Vec<Label> {
    vec![label(1.0, Source::Owner), label(2.0, Source::Owner)]
}

fn improved() -> Vec<Label> {
    vec![label(5.0, Source::Teacher)]
}

/// Does one deed on what there is.
fn act(machine: &Shared, owner: &Identity, deed: Deed) -> Result<(), BufferError> {
    let folder = Folder { machine: machine.clone(), name: "buffer" };
    match deed {
        Deed::Make => match made(folder, owner, FEW) {
            Err(BufferError::Exists(_)) => Ok(()),
            made => made.map(drop),
        },
        Deed::Add(seed) => add(&mut Shelf::open(folder, &path())?, &lesson(seed)).map(drop),
        Deed::Improve(seed) | Deed::Correct(seed) => {
            let mut shelf = Shelf::open(folder, &path())?;
            let opener = shelf.unlock(owner)?;
            let found = all(&mut shelf, owner)?.into_iter().find(|(_, found)| found.rgb == lesson(seed).rgb);
            // A lesson that cannot be read just now is none that was lost: the next try finds it.
            let Some((number, _)) = found else { return Err(BufferError::NotThere(path())) };
            let done = match deed {
                Deed::Improve(_) => shelf.relabel(number, &improved(), By::Teacher(MODEL), &opener)?,
                _ => shelf.relabel(number, &corrected(), By::Owner, &opener)?,
            };
            match done {
                Some(entry) if entry.taught.is_some() || entry.corrected => Ok(()),
                Some(entry) => panic!("{entry} was relabelled by nobody"),
                None => Err(BufferError::NotThere(path())),
            }
        }
        Deed::Wipe => Shelf::wipe(folder, &path()).map(drop),
    }
}

/// Does all deeds on a disk with faults, and looks at what is there after each; the operations that it took.
fn live(machine: &Shared) -> usize {
    let owner = identity();
    let look = |kept: &[u32], offered: &[u32]| {
        let folder = Folder { machine: machine.clone(), name: "buffer" };
        let mut shelf = Shelf::open(folder, &path())?;
        let found = all(&mut shelf, &owner)?;
        assert!(shelf.entries().len() <= FEW.lessons as usize);
        for (_, found) in &found {
            let own = |seed: &&u32| found.rgb == lesson(**seed).rgb;
            let seed = offered.iter().find(own).expect("what was never offered, or was wiped, is read");
            let whole = [lesson(*seed).labels, improved(), corrected()].contains(&found.labels);
            assert!(whole, "labels are torn");
        }
        let there = |seed: &u32| found.iter().any(|(_, found)| found.rgb == lesson(*seed).rgb);
        let missing: Vec<&u32> = kept.iter().filter(|seed| !there(seed)).collect();
        if !missing.is_empty() && shelf.entries().len() == found.len() {
            panic!("{missing:?} were acknowledged, and are lost");
        }
        assert_eq!(shelf.lost()?, 0, "no lesson is ever damaged");
        if missing.is_empty() { Ok(()) } else { Err(BufferError::NotThere(path())) }
    };
    let again = |what: &dyn Fn() -> Result<(), BufferError>| {
        for _ in 0..50 {
            if machine.borrow().off {
                machine.borrow_mut().reboot();
            }
            match what() {
                Ok(()) => return,
                Err(BufferError::Io { .. } | BufferError::NotThere(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        panic!("it never ends");
    };
    let (mut kept, mut offered) = (Vec::new(), Vec::new());
    for deed in DEEDS {
        match deed {
            Deed::Add(seed) => offered.push(seed),
            // The last one that there is room for.
            Deed::Wipe => kept.clear(),
            _ => {}
        }
        again(&|| act(machine, &owner, deed));
        match deed {
            Deed::Wipe => offered.clear(),
            // A lesson that was offered twice may be there twice, so that others had to go.
            Deed::Add(seed) => kept = vec![seed],
            _ => {}
        }
        again(&|| look(&kept, &offered));
    }
    machine.borrow_mut().mend();
    machine.borrow_mut().reboot();
    look(&kept, &offered).expect("a disk without faults");
    machine.borrow().operations
}

#[test]
fn a_buffer_survives_every_single_fault_of_its_disk() {
    let operations = live(&Machine::new(0, &[]));
    assert!(operations > 200, "{operations}");
    for at in 0..operations {
        for fault in Fault::ALL {
            live(&Machine::new(at as u64, &[(at, fault)]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_buffer_survives_many_faults(
        seed: u64, faults in prop::collection::vec((0_usize..300, prop::sample::select(&Fault::ALL[..])), 2..12),
    ) {
        live(&Machine::new(seed, &faults));
    }
}

/// `kill -9` (what was written is there) and power cuts (what was synced is) at every operation of a wiping.
#[test]
fn a_wiping_that_is_cut_off_is_ended_by_the_next_start() {
    let owner = identity();
    let full = |machine: &Shared| {
        let folder = Folder { machine: machine.clone(), name: "buffer" };
        let mut shelf = made(folder.clone(), &owner, FEW).unwrap();
        for seed in 1..4 {
            add(&mut shelf, &lesson(seed)).unwrap();
        }
        folder
    };
    let machine = Machine::new(0, &[]);
    let folder = full(&machine);
    let from = machine.borrow().operations;
    Shelf::wipe(folder, &path()).unwrap();
    let to = machine.borrow().operations;
    let (mut whole, mut wiped) = (0, 0);
    for at in from..to {
        for (fault, power) in [
            (Fault::PowerBefore, false),
            (Fault::PowerDuring, false),
            (Fault::PowerAfter, false),
            (Fault::PowerBefore, true),
            (Fault::PowerDuring, true),
            (Fault::PowerAfter, true),
        ] {
            let machine = Machine::new(at as u64, &[(at, fault)]);
            let folder = full(&machine);
            assert!(Shelf::wipe(folder.clone(), &path()).is_err());
            machine.borrow_mut().mend();
            if power {
                machine.borrow_mut().reboot();
            }
            machine.borrow_mut().off = false;
            let mut shelf = Shelf::open(folder.clone(), &path()).unwrap();
            let (entries, found) = (shelf.entries().len(), all(&mut shelf, &owner).unwrap().len());
            match entries {
                0 => wiped += 1,
                3 => whole += 1,
                some => panic!("{some} of 3 lessons are left"),
            }
            assert_eq!(entries, found, "what is there can be read");
            // It goes on from here.
            add(&mut shelf, &lesson(9)).unwrap();
            assert!(all(&mut shelf, &owner).unwrap().iter().any(|(_, found)| *found == lesson(9)));
        }
    }
    // Only what came before the key was touched leaves a buffer as it was.
    assert!(whole > 0 && wiped > 4 * whole, "{whole} {wiped}");
}
