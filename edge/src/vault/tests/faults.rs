//! Disks that fail at every single operation, and power that does; and disks that are full.

use proptest::prelude::*;
use volet_federated::storage::MemoryStorage;

use super::*;
use crate::disk::{Fault, Folder, Machine, Shared};

const FRAMES: u64 = 24;

/// Records a film on a disk with faults, rebooting where the power goes, and looks at what there is; the operations it took.
fn live(seed: u64, faults: &[(usize, Fault)], limits: Limits) -> usize {
    let owner = identity();
    let machine: Shared = Machine::new(seed, faults);
    let folder = Folder { machine: machine.clone(), name: "vault" };
    let (mut recorder, mut counts) = recorder(&folder, &owner, limits);
    // What was acknowledged stays, whatever comes after, while there is room.
    let (mut acknowledged, mut offered) = (0, 0);
    for index in 0..FRAMES {
        recorder.frame(kept(index));
        offered += 1;
        if machine.borrow().off {
            // The program goes with the power, and comes back with it.
            acknowledged += counts.frames.load(Ordering::Relaxed);
            machine.borrow_mut().reboot();
            (recorder, counts) = super::recorder(&folder, &owner, limits);
        }
    }
    recorder.finish();
    let kept = counts.frames.load(Ordering::Relaxed) + acknowledged;
    let left_out = counts.left_out.load(Ordering::Relaxed);
    assert!(kept + left_out <= offered);
    let operations = machine.borrow().operations;
    machine.borrow_mut().mend();
    machine.borrow_mut().reboot();
    let mut there: Vec<u64> = Vec::new();
    let clips = clips(&folder).unwrap();
    assert!(clips.values().map(|file| file.len() as u64).sum::<u64>() <= limits.bytes);
    let mut whole = 0;
    for (name, file) in &clips {
        match genuine(file, &owner) {
            Ok((found, numbers)) => {
                assert_eq!(&found.entry.to_string(), name);
                whole += u64::from(found.trouble.is_none());
                there.extend(numbers);
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
    let rises = there.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(rises, "{there:?} are not in order, or not once each");
    if limits.bytes == LIMITS.bytes {
        assert!(there.len() as u64 >= kept, "{kept} were acknowledged, and {there:?} are there");
    }
    if faults.is_empty() {
        assert_eq!((kept, left_out, whole), (FRAMES, 0, clips.len() as u64));
    }
    operations
}

#[test]
fn a_vault_survives_every_single_fault_of_its_disk() {
    // The second leaves room for few clips, so that there is removing too.
    for limits in [LIMITS, Limits { bytes: 9000, ..LIMITS }] {
        let operations = live(0, &[], limits);
        assert!(operations > 40, "{operations}");
        for at in 0..operations {
            for fault in Fault::ALL {
                live(at as u64, &[(at, fault)], limits);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_vault_survives_many_faults(
        seed: u64, faults in prop::collection::vec((0_usize..120, prop::sample::select(&Fault::ALL[..])), 2..12),
    ) {
        live(seed, &faults, LIMITS);
    }
}

fn memory() -> std::rc::Rc<std::cell::RefCell<MemoryStorage>> {
    std::rc::Rc::new(std::cell::RefCell::new(MemoryStorage::default()))
}

#[test]
fn a_vault_stays_within_its_bytes_and_the_oldest_goes() {
    let (disk, owner) = (memory(), identity());
    let limits = Limits { bytes: 24_000, ..LIMITS };
    for part in 0..40 {
        let counts = record(&disk, &owner, limits, 8 * part..8 * part + 8);
        assert_eq!(counts.left_out.load(Ordering::Relaxed), 0);
        let clips = clips(&disk).unwrap();
        assert!(clips.values().map(Vec::len).sum::<usize>() <= 24_000);
        let (found, numbers) = genuine(clips.values().last().unwrap(), &owner).unwrap();
        assert!(found.trouble.is_none());
        assert_eq!(numbers, (8 * part..8 * part + 8).collect::<Vec<_>>(), "the newest is there, whole");
    }
    assert!(clips(&disk).unwrap().len() > 1);
}

#[test]
fn a_full_disk_costs_frames_and_nothing_that_was_kept() {
    let (disk, owner) = (memory(), identity());
    let (mut recorder, counts) = recorder(&disk, &owner, LIMITS);
    let count = || (counts.frames.load(Ordering::Relaxed), counts.left_out.load(Ordering::Relaxed));
    (0..8).for_each(|index| recorder.frame(kept(index)));
    recorder.idle();
    assert_eq!(count(), (8, 0));
    let before = clips(&disk).unwrap();
    recorder.place_mut().free = Some(1 << 20);
    (8..16).for_each(|index| recorder.frame(kept(index)));
    recorder.idle();
    assert_eq!(count(), (8, 8));
    assert_eq!(clips(&disk).unwrap(), before, "nothing is given up where that would not help");
    recorder.place_mut().free = Some(1 << 40);
    (16..24).for_each(|index| recorder.frame(kept(index)));
    recorder.finish();
    assert_eq!(count(), (16, 8));
    let all: Vec<u64> = clips(&disk).unwrap().values().flat_map(|file| genuine(file, &owner).unwrap().1).collect();
    assert_eq!(all, (0..8).chain(16..24).collect::<Vec<_>>());
}

#[test]
fn what_was_wiped_under_the_camera_stays_wiped() {
    let (disk, owner) = (memory(), identity());
    let (mut recorder, counts) = recorder(&disk, &owner, Limits { clip: Duration::from_secs(60), ..LIMITS });
    (0..8).for_each(|index| recorder.frame(kept(index)));
    recorder.idle();
    let gone: Vec<Entry> = clips(&disk).unwrap().keys().filter_map(|name| Entry::parse(name)).collect();
    Shelf::over(disk.clone(), std::path::Path::new("a-vault")).remove(&gone).unwrap();
    (8..16).for_each(|index| recorder.frame(kept(index)));
    recorder.finish();
    let clips = clips(&disk).unwrap();
    assert_eq!(clips.len(), 1);
    let (found, numbers) = genuine(clips.values().next().unwrap(), &owner).unwrap();
    assert!(found.trouble.is_none());
    assert_eq!(numbers, (8..16).collect::<Vec<_>>());
    assert_eq!((counts.clips.load(Ordering::Relaxed), counts.left_out.load(Ordering::Relaxed)), (2, 0));
}
