//! Files that strangers made, moved or damaged, and what they can read.

use proptest::prelude::*;
use volet_federated::storage::MemoryStorage;

use super::*;

#[test]
fn a_wiped_buffer_s_files_are_noise_to_its_owner_too() {
    let owner = identity();
    let mut disk = std::rc::Rc::new(std::cell::RefCell::new(MemoryStorage::default()));
    let mut shelf = made(disk.clone(), &owner, FEW).unwrap();
    let entry = add(&mut shelf, &lesson(1)).unwrap();
    let (name, old) = (entry.to_string(), shelf.head().key);
    let stolen = disk.read(&name, 1 << 20).unwrap().unwrap();
    let shelf = Shelf::wipe(disk.clone(), &path()).unwrap();
    assert!(shelf.entries().is_empty() && shelf.head().key != old && shelf.head().owner == owner.recipient());
    disk.write(&name, 0, &stolen).unwrap();
    let mut shelf = Shelf::open(disk.clone(), &path()).unwrap();
    assert_eq!((all(&mut shelf, &owner).unwrap().len(), shelf.lost().unwrap()), (0, 1));
}

#[test]
fn files_that_were_swapped_replayed_or_damaged_are_counted_and_removed() {
    let owner = identity();
    let disk = || std::rc::Rc::new(std::cell::RefCell::new(MemoryStorage::default()));
    let (mut first, second) = (disk(), disk());
    let limits = Limits { lessons: 100, ..FEW };
    let mut shelf = made(first.clone(), &owner, limits).unwrap();
    let mut other = made(second.clone(), &owner, limits).unwrap();
    let entries: Vec<Entry> = (0..8).map(|seed| add(&mut shelf, &lesson(seed)).unwrap()).collect();
    let foreign = add(&mut other, &lesson(0)).unwrap();
    let bytes = |disk: &std::rc::Rc<std::cell::RefCell<MemoryStorage>>, entry: &Entry| {
        disk.read(&entry.to_string(), 1 << 20).unwrap().unwrap()
    };
    let put = |disk: &mut std::rc::Rc<std::cell::RefCell<MemoryStorage>>, entry: &Entry, bytes: &[u8]| {
        volet_federated::storage::put(disk, &entry.to_string(), bytes).unwrap();
    };
    // Two files under each other's name; another buffer's of the same owner; one bit; a short and a long one.
    let [a, b] = [&entries[0], &entries[1]].map(|entry| bytes(&first, entry));
    put(&mut first, &entries[0], &b);
    put(&mut first, &entries[1], &a);
    put(&mut first, &entries[2], &bytes(&second, &foreign));
    for (entry, change) in [
        (&entries[3], (|b| b[60] ^= 1) as fn(&mut Vec<u8>)),
        (&entries[4], |b| b.truncate(30)),
        (&entries[5], |b| b.push(0)),
    ] {
        let mut changed = bytes(&first, entry);
        change(&mut changed);
        put(&mut first, entry, &changed);
    }
    // A flag, a day and a number that are not those it was sealed with; a name that is none.
    let last = bytes(&first, &entries[7]);
    for renamed in [
        Entry { corrected: true, number: 90, ..entries[7] },
        Entry { day: 1 + TODAY, number: 91, ..entries[7] },
        Entry { held_out: !entries[7].held_out, ..entries[7] },
    ] {
        put(&mut first, &renamed, &last);
    }
    first.write("lesson-rubbish", 0, b"x").unwrap();
    first.write("README", 0, b"somebody's").unwrap();
    let mut shelf = Shelf::open(first.clone(), &path()).unwrap();
    let mut read: Vec<u64> = all(&mut shelf, &owner).unwrap().into_iter().map(|(number, _)| number).collect();
    read.dedup();
    assert!(read == [entries[6].number] || read == [entries[6].number, entries[7].number], "{read:?}");
    assert!((9..=10).contains(&shelf.lost().unwrap()), "{}", shelf.lost().unwrap());
    let shelf = Shelf::open(first.clone(), &path()).unwrap();
    assert_eq!(shelf.entries().len(), read.len());
    assert!(first.list().unwrap().contains(&"README".to_owned()));
}

#[test]
fn who_writes_cannot_read_and_another_owner_is_refused() {
    let owner = identity();
    let disk = std::rc::Rc::new(std::cell::RefCell::new(MemoryStorage::default()));
    let mut shelf = made(disk.clone(), &owner, FEW).unwrap();
    add(&mut shelf, &lesson(1)).unwrap();
    assert!(matches!(shelf.unlock(&identity()), Err(BufferError::OtherOwner { .. })));
    // Neither pixels nor labels lie about in clear.
    for name in disk.list().unwrap() {
        let bytes = disk.read(&name, 1 << 20).unwrap().unwrap();
        for part in lesson(1).rgb.chunks_exact(16) {
            assert!(!bytes.windows(16).any(|window| window == part), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn strangers_contents_are_read_or_not(opened in prop::collection::vec(any::<u8>(), 0..400), cut: usize, flip: usize) {
        let entry = Entry { number: 1, revision: 0, day: 1, length: 1, taught: None, held_out: false, corrected: false };
        prop_assert!(!is_lesson(&entry.to_string(), &opened, 2));
        let mut whole = pack(&lesson(1), Some(&moment()), 2).unwrap().bytes.to_vec();
        let entry = Entry { held_out: pack(&lesson(1), Some(&moment()), 2).unwrap().held_out, ..entry };
        prop_assert!(is_lesson(&entry.to_string(), &whole, 2));
        let (cut, flip) = (cut % whole.len(), flip % whole.len());
        prop_assert!(!is_lesson(&entry.to_string(), &whole[..cut], 2));
        whole[flip] ^= 0x11;
        is_lesson(&entry.to_string(), &whole, 2);
    }
}
