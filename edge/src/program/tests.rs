use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;
use volet_federated::signing::SigningKey;
use volet_federated::storage::MemoryStorage;

use super::*;
use crate::disk::{Fault, Folder, Machine};

type Disk = Rc<RefCell<MemoryStorage>>;

fn maker() -> SigningKey {
    SigningKey::from([7; 32])
}

fn key() -> VerifyingKey {
    VerifyingKey::from(&maker())
}

/// A program for this machine, as far as anybody looks.
fn program(number: u64) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    std::fs::File::open("/proc/self/exe").unwrap().read_exact(&mut bytes).unwrap();
    bytes.extend(number.to_le_bytes());
    bytes
}

fn release(number: u64) -> Vec<u8> {
    Release::of(&program(number), number, "test").unwrap().sign(&maker()).unwrap()
}

fn put_in(slots: &mut impl Storage, register: &mut Register<impl Storage>, number: u64) -> Result<(), ProgramError> {
    install_in(slots, register, &key(), program(number).as_slice(), &release(number)).map(drop)
}

/// The number of the program that a start runs; nothing: the system's. What is run is what was signed, or it is not run.
fn starts(slots: &impl Storage, register: &mut Register<impl Storage>) -> Option<u64> {
    register.run(|slot, on_trial| {
        let release = signed(slots, slot, &key())?;
        let bytes = slots.read(slot.name(), u64::MAX).ok().flatten().unwrap_or_default();
        let same = blake3::hash(&bytes) == release.blake3 && on_trial.is_none_or(|number| number == release.number);
        if same { Ok(release.number) } else { Err(ProgramError::NotTheOne) }
    })
}

fn fresh() -> (Disk, Disk, Register<Disk>) {
    let (slots, state) = (Disk::default(), Disk::default());
    let register = Register::open(state.clone()).unwrap();
    (slots, state, register)
}

#[test]
fn a_program_that_proves_itself_stays_and_one_that_does_not_goes() {
    let (mut slots, _, mut register) = fresh();
    assert_eq!(starts(&slots, &mut register), None);
    put_in(&mut slots, &mut register, 5).unwrap();
    assert_eq!(starts(&slots, &mut register), Some(5));
    assert!(register.proves(Slot::A, 5).unwrap() && !register.proves(Slot::A, 5).unwrap());
    put_in(&mut slots, &mut register, 6).unwrap();
    let tried: Vec<_> = (0..5).map(|_| starts(&slots, &mut register)).collect();
    assert_eq!(tried, [Some(6), Some(6), Some(6), Some(5), Some(5)]);
    // What did not prove itself can be installed again; what is older than what did cannot.
    put_in(&mut slots, &mut register, 6).unwrap();
    assert_eq!(starts(&slots, &mut register), Some(6));
    assert!(register.proves(Slot::B, 6).unwrap());
    assert!(matches!(put_in(&mut slots, &mut register, 6), Err(ProgramError::Older { offered: 6, floor: 6 })));
    assert_eq!(starts(&slots, &mut register), Some(6));
    // Step by step back, and no further.
    let mut back = || {
        register.back().unwrap();
        starts(&slots, &mut register)
    };
    assert_eq!([back(), back(), back()], [Some(5), None, None]);
    assert!(matches!(put_in(&mut slots, &mut register, 5), Err(ProgramError::Older { .. })), "by hand alone");
}

#[test]
fn a_program_that_was_never_started_proves_nothing() {
    let (mut slots, _, mut register) = fresh();
    put_in(&mut slots, &mut register, 5).unwrap();
    assert!(!register.proves(Slot::A, 5).unwrap());
    assert_eq!(starts(&slots, &mut register), Some(5));
    // Another one comes while it is at work: what it did is not the other one's merit.
    put_in(&mut slots, &mut register, 6).unwrap();
    assert!(!register.proves(Slot::A, 5).unwrap() && !register.proves(Slot::A, 6).unwrap());
    assert_eq!((starts(&slots, &mut register), register.state().floor), (Some(6), 0));
    assert!(!register.proves(Slot::A, 5).unwrap() && register.proves(Slot::A, 6).unwrap());
    assert_eq!(register.state().floor, 6);
}

#[test]
fn another_system_runs_its_own_program() {
    let (mut slots, state, mut register) = fresh();
    let [one, two] = [b"one", b"two"].map(|bytes| blake3::hash(bytes));
    register.beside(one).unwrap();
    put_in(&mut slots, &mut register, 5).unwrap();
    // Whoever installed it need not have been the system's program.
    register.beside(one).unwrap();
    assert_eq!(starts(&slots, &mut register), Some(5));
    assert!(register.proves(Slot::A, 5).unwrap());
    let mut register = Register::open(state.clone()).unwrap();
    register.beside(one).unwrap();
    assert_eq!(starts(&slots, &mut register), Some(5));
    let mut register = Register::open(state.clone()).unwrap();
    register.beside(two).unwrap();
    assert_eq!((starts(&slots, &mut register), register.state().floor), (None, 5));
    let mut register = Register::open(state).unwrap();
    register.beside(one).unwrap();
    assert_eq!(starts(&slots, &mut register), None, "what was added to a system went with it");
}

#[test]
fn what_is_not_what_was_signed_never_runs() {
    let (mut slots, _, mut register) = fresh();
    put_in(&mut slots, &mut register, 5).unwrap();
    starts(&slots, &mut register);
    assert!(register.proves(Slot::A, 5).unwrap());
    let mut install = |program: &[u8], release: &[u8]| install_in(&mut slots, &mut register, &key(), program, release);
    // Of several pieces.
    let whole = [program(6), vec![6; PIECE]].concat();
    let release = |number| Release::of(&whole, number, "test").unwrap().sign(&maker()).unwrap();
    for damaged in [&whole[..whole.len() - 1], &[&whole[..], b"!"].concat(), &program(7)] {
        assert!(matches!(install(damaged, &release(6)), Err(ProgramError::NotTheOne)));
    }
    let of_another = Release::of(&whole, 6, "test").unwrap().sign(&SigningKey::from([8; 32])).unwrap();
    assert!(matches!(install(&whole, &of_another), Err(ProgramError::Release(ReleaseError::Signature))));
    let mut elsewhere = Release::of(&whole, 6, "test").unwrap();
    elsewhere.processor = "m68k".to_owned();
    let elsewhere = elsewhere.sign(&maker()).unwrap();
    assert!(matches!(install(&whole, &elsewhere), Err(ProgramError::Release(ReleaseError::Processor { .. }))));
    assert_eq!(starts(&slots, &mut register), Some(5), "what ran before runs on");
    assert!(slots.list().unwrap().iter().all(|name| !name.ends_with(".new")), "and nothing is in the way");
    // Whole, and in a slot whose bytes change after all.
    install_in(&mut slots, &mut register, &key(), whole.as_slice(), &release(6)).unwrap();
    slots.write("b", 100, b"other").unwrap();
    assert_eq!((starts(&slots, &mut register), register.state().trial), (Some(5), None));
    // What ran before the one that proved itself, where that is damaged; and where both are, the system's.
    put_in(&mut slots, &mut register, 7).unwrap();
    assert_eq!(starts(&slots, &mut register), Some(7));
    assert!(register.proves(Slot::B, 7).unwrap());
    slots.write("b", 100, b"other").unwrap();
    assert_eq!(starts(&slots, &mut register), Some(5));
    slots.write("a", 100, b"other").unwrap();
    assert_eq!(starts(&slots, &mut register), None, "the system's is left");
}

#[test]
fn a_damaged_state_is_told_of() {
    for damage in ["version = 2\nfloor = 0\n", "version = 1", "\u{0}"] {
        let disk = Disk::default();
        disk.borrow_mut().write("state", 0, damage.as_bytes()).unwrap();
        assert!(Register::open(disk).is_err(), "{damage:?}");
    }
}

/// Two releases come and prove themselves, a third does not; what proved itself for certain, and what ran, until the power went.
fn life(machine: &crate::disk::Shared, proved: &mut Vec<u64>) -> Result<Vec<Option<u64>>, ProgramError> {
    let mut slots = Folder { machine: machine.clone(), name: "slots" };
    let open = || Register::open(Folder { machine: machine.clone(), name: "state" }).map_err(ProgramError::Storage);
    let mut ran = Vec::new();
    for number in [2, 4, 6] {
        let mut register = open()?;
        put_in(&mut slots, &mut register, number)?;
        ran.push(starts(&slots, &mut register));
        let slot = register.state().trial.map(|trial| trial.slot);
        if let Some(slot) = slot.filter(|_| number < 6 && ran.last() == Some(&Some(number))) {
            register.proves(slot, number).map_err(ProgramError::Storage)?;
            proved.push(number);
        }
    }
    Ok(ran)
}

#[test]
fn a_power_cut_at_any_operation_leaves_a_program_that_runs() {
    let sound = Machine::new(0, &[]);
    let all = life(&sound, &mut Vec::new()).unwrap();
    assert_eq!(all, [Some(2), Some(4), Some(6)]);
    let operations = sound.borrow().operations;
    let mut cuts = 0;
    for at in 0..operations {
        for fault in Fault::ALL {
            for seed in 0..4 {
                let machine = Machine::new(seed, &[(at, fault)]);
                let mut proved = Vec::new();
                let _ = life(&machine, &mut proved);
                machine.borrow_mut().mend();
                machine.borrow_mut().reboot();
                cuts += 1;
                let slots = Folder { machine: machine.clone(), name: "slots" };
                let mut register = Register::open(Folder { machine: machine.clone(), name: "state" }).unwrap();
                // It never goes below what proved itself, and always ends with that once trials are over.
                let floor = register.state().floor;
                assert!(floor >= proved.last().copied().unwrap_or(0), "{fault:?} at {at}, seed {seed}: {proved:?}");
                let proven = (floor > 0).then_some(floor);
                let next: Vec<_> = (0..5).map(|_| starts(&slots, &mut register)).collect();
                assert!(
                    next.iter().all(|number| *number >= proven),
                    "{fault:?} at {at}, seed {seed}: {next:?} above {floor}"
                );
                assert_eq!(next[4], proven, "{fault:?} at {at}, seed {seed}: {next:?}");
                // And the next release can be installed.
                let mut slots = slots;
                put_in(&mut slots, &mut register, 8).unwrap();
                assert_eq!(starts(&slots, &mut register), Some(8), "{fault:?} at {at}, seed {seed}");
            }
        }
    }
    assert!(cuts > 300, "{cuts}");
}

#[test]
fn a_release_is_only_of_programs() {
    assert!(Release::of(b"#!/bin/sh\n", 1, "test").is_err());
    assert!(Release::of(b"", 1, "test").is_err());
    assert!(Release::of(&program(1), 0, "test").is_err());
    assert!(Release::of(&program(1), 1, "two\nlines").is_err());
}

proptest! {
    #[test]
    fn a_release_is_what_was_signed_or_nothing(at in 0usize..300, with in 1u8.., cut in 0usize..300) {
        let whole = release(9);
        prop_assert_eq!(Release::verify(&whole, &key()).unwrap().number, 9);
        let mut changed = whole.clone();
        let at = at % changed.len();
        changed[at] ^= with;
        // Digits may be written in either case, and are the same signature.
        let same = at < 128 && changed[at].eq_ignore_ascii_case(&whole[at]);
        prop_assert!(same || Release::verify(&changed, &key()).is_err());
        prop_assert!(Release::verify(&whole[..cut % whole.len()], &key()).is_err());
    }

    #[test]
    fn nothing_that_a_stranger_writes_is_a_release(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Release::verify(&bytes, &key()).is_err());
    }
}
