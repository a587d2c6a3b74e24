//! Files that were damaged, cut, put together from others or made by strangers; and keys that open nothing.

use proptest::prelude::*;
use volet_federated::storage::MemoryStorage;

use super::*;

type Disk = std::rc::Rc<std::cell::RefCell<MemoryStorage>>;

/// A clip of eight frames in chunks of four, in the bounds of its chunks: header and start, frames, frames, end.
fn recorded(owner: &Identity) -> (Vec<u8>, Vec<usize>) {
    let disk = Disk::default();
    record(&disk, owner, LIMITS, 0..8);
    let file = clips(&disk).unwrap().into_values().next().unwrap();
    let mut bounds = vec![clip::HEADER];
    while let Some(length) = file.get(bounds[bounds.len() - 1]..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = u32::from_le_bytes(*length) & (u32::MAX >> 1);
        bounds.push(bounds[bounds.len() - 1] + 4 + length as usize);
    }
    assert_eq!((bounds.len(), bounds[bounds.len() - 1]), (5, file.len()));
    (file, bounds)
}

/// How much of a clip is genuine and how it ends.
fn read(file: &[u8], owner: &Identity) -> (Vec<u64>, Option<Trouble>) {
    match genuine(file, owner) {
        Ok((found, numbers)) => (numbers, found.trouble),
        Err(trouble) => (Vec::new(), Some(trouble)),
    }
}

#[test]
fn a_flip_of_any_byte_is_found_and_what_comes_before_is_genuine() {
    let owner = identity();
    let (file, bounds) = recorded(&owner);
    assert!(read(&file, &owner).1.is_none());
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        let (numbers, trouble) = read(&flipped, &owner);
        assert!(trouble.is_some(), "byte {at}");
        // Chunks before the flip: the first is no picture.
        let before = bounds[1..].iter().filter(|end| **end <= at).count().saturating_sub(1).min(2);
        assert_eq!(numbers.len(), 4 * before, "byte {at}");
    }
}

#[test]
fn a_cut_anywhere_is_found_and_leaves_whole_chunks() {
    let owner = identity();
    let (file, bounds) = recorded(&owner);
    for length in 0..file.len() {
        let (numbers, trouble) = read(&file[..length], &owner);
        let expected = if length == 0 { Trouble::NoClip } else { Trouble::Cut };
        assert_eq!(trouble.map(|trouble| trouble.to_string()), Some(expected.to_string()), "{length}");
        let before = bounds[1..].iter().filter(|end| **end <= length).count().saturating_sub(1);
        assert_eq!(numbers.len(), 4 * before, "{length}");
    }
    assert!(matches!(read(&[&file[..], &[0]].concat(), &owner).1, Some(Trouble::Damaged)));
}

#[test]
fn chunks_that_were_moved_repeated_or_spliced_are_found() {
    let owner = identity();
    let (file, at) = recorded(&owner);
    let (other, other_at) = recorded(&owner);
    assert!(at == other_at && file != other);
    let chunk = |file: &[u8], n: usize| file[at[n]..at[n + 1]].to_vec();
    let made = |parts: &[Vec<u8>]| [&[file[..at[1]].to_vec()][..], parts].concat().concat();
    let own = |n| chunk(&file, n);
    for (parts, genuine) in [
        (vec![own(2), own(1), own(3)], 0),
        (vec![own(1), own(1), own(2), own(3)], 4),
        (vec![own(1), own(3)], 4),
        (vec![own(1), chunk(&other, 2), own(3)], 4),
        (vec![own(1), own(2), chunk(&other, 3)], 8),
        (vec![own(3)], 0),
    ] {
        let (numbers, trouble) = read(&made(&parts), &owner);
        assert!(matches!(trouble, Some(Trouble::Damaged)));
        assert_eq!(numbers.len(), genuine);
    }
    let swapped = [&other[..at[0]], &file[at[0]..]].concat();
    assert!(matches!(read(&swapped, &owner), (numbers, Some(Trouble::Damaged)) if numbers.is_empty()));
}

#[test]
fn nothing_in_a_vault_opens_it_and_nothing_lies_in_clear() {
    let (folder, owner) = (tempfile::tempdir().unwrap(), identity());
    let dir = folder.path().join("vault");
    init(&dir, owner.recipient()).unwrap();
    let storage = std::rc::Rc::new(std::cell::RefCell::new(DirStorage::open(&dir).unwrap()));
    record(&storage, &owner, LIMITS, 0..16);
    let clips = clips(&storage).unwrap();
    assert_eq!(clips.len(), 2);
    // Every 32 bytes of every file of the device, in binary and in digits, as somebody's secret.
    let mut tried = 0;
    for file in std::fs::read_dir(&dir).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let digits = bytes.windows(64).filter_map(|text| blake3::Hash::from_hex(text).ok().map(<[u8; 32]>::from));
        let raw = bytes.windows(32).filter_map(|key| key.try_into().ok());
        for key in raw.chain(digits) {
            tried += 1;
            let Some(key) = Identity::of(key) else { continue };
            assert_ne!(key.recipient(), owner.recipient());
            // Whatever the header says of its owner.
            for clip in clips.values() {
                assert!(!opens(clip, &key));
            }
        }
        for index in 0..16 {
            let (raw, jpeg) = (frame(index), jpeg(&frame(index)));
            for part in raw.pixels().chunks_exact(16).chain(jpeg.chunks_exact(16)) {
                // Each picture begins with the same tables; they do not lie there either.
                assert!(!bytes.windows(16).any(|window| window == part));
            }
        }
    }
    assert!(tried > 1000, "{tried}");
    assert!(clips.values().all(|clip| is_clip(clip, &owner)));
}

/// Whether a key opens the first chunk, the header's owner put aside.
fn opens(clip: &[u8], key: &Identity) -> bool {
    let mut claimed = clip.to_vec();
    claimed[8..40].copy_from_slice(key.recipient().bytes());
    let first = |file: &[u8]| Reader::open(file, key).ok().and_then(|mut reader| reader.next().ok());
    [clip, &claimed].into_iter().any(|file| matches!(first(file), Some(clip::Next::Chunk(_) | clip::Next::Last(_))))
}

#[test]
fn a_foreign_identity_is_told_whose_clip_it_is() {
    let owner = identity();
    let (file, _) = recorded(&owner);
    let trouble = read(&file, &identity()).1.unwrap().to_string();
    assert!(trouble.contains(&owner.recipient().to_string()), "{trouble}");
}

proptest! {
    #[test]
    fn strangers_files_are_read_or_not(mut file in prop::collection::vec(any::<u8>(), 0..400), own: bool, chunk: Vec<u8>) {
        let owner = identity();
        if own && file.len() >= clip::HEADER {
            file[..8].copy_from_slice(b"VOLETVT\x01");
            file[8..40].copy_from_slice(owner.recipient().bytes());
        }
        prop_assert!(!is_clip(&file, &owner));
        is_chunk(&chunk);
    }

    /// Whoever may seal can seal rubbish.
    #[test]
    fn sealed_rubbish_is_no_film(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5)) {
        let owner = identity();
        let plain = |bytes: &[u8]| {
            let mut plain = Plain::default();
            std::io::Write::write_all(&mut plain, bytes).unwrap();
            plain
        };
        let entry = Entry::new(1, Timestamp::from_second(NOW).unwrap());
        let (mut sealer, begun) = clip::Sealer::begin(&owner.recipient(), entry, &plain(&chunks[0])).unwrap();
        let mut file = begun.as_bytes().to_vec();
        for chunk in &chunks[1..] {
            file.extend_from_slice(sealer.seal(&plain(chunk), false).unwrap().as_bytes());
        }
        file.extend_from_slice(sealer.seal(&plain(&[0; 8]), true).unwrap().as_bytes());
        prop_assert!(is_clip(&file, &owner), "it is sealed as it should be");
        let (numbers, _) = read(&file, &owner);
        prop_assert!(numbers.is_empty());
    }
}
