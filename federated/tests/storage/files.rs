//! What files promise.

use crate::Storage;

pub(crate) fn files_are_kept(storage: &Storage) {
    let store = &storage.store;
    assert_eq!(store.get("files/none").unwrap(), None);
    store.remove("files/none").unwrap();
    for (name, bytes) in [("files/a", &b"one"[..]), ("files/a", b"another"), ("files/b", b""), ("a-b", b"c")] {
        store.put(name, bytes).unwrap();
        assert_eq!(store.get(name).unwrap().as_deref(), Some(bytes));
    }
    assert_eq!(store.get("files/a").unwrap().as_deref(), Some(&b"another"[..]));
    store.remove("files/a").unwrap();
    store.remove("files/a").unwrap();
    assert_eq!((store.get("files/a").unwrap(), store.get("files/b").unwrap()), (None, Some(Vec::new())));
}

pub(crate) fn pieces_are_cut(storage: &Storage) {
    let store = &storage.store;
    let bytes: Vec<u8> = (0..200_000_u32).map(|i| i.wrapping_mul(i) as u8).collect();
    store.put("files/a", &bytes).unwrap();
    store.put("files/empty", b"").unwrap();
    let piece = |offset: u64, length| store.piece("files/a", offset, length).unwrap().unwrap();
    assert_eq!(piece(0, 65_536), bytes[..65_536]);
    assert_eq!(piece(65_536, 65_536), bytes[65_536..131_072]);
    assert_eq!(piece(199_999, 65_536), bytes[199_999..]);
    assert_eq!(piece(100, 1_000_000), bytes[100..]);
    for (offset, length) in [(200_000, 10), (1 << 40, 10), (5, 0)] {
        assert_eq!(store.piece("files/a", offset, length).unwrap(), Some(Vec::new()));
    }
    assert_eq!(store.piece("files/empty", 0, 10).unwrap(), Some(Vec::new()));
    assert_eq!(store.piece("files/none", 0, 10).unwrap(), None);
    assert_eq!(store.piece("files/none", 0, 0).unwrap(), None);
}

/// Written again and again, while others read it.
pub(crate) fn files_are_whole(storage: &Storage) {
    storage.store.put("files/a", &vec![0; 300_000]).unwrap();
    storage.at_once(4, |storage, number| {
        for turn in 0..10 {
            if number == 0 {
                storage.store.put("files/a", &vec![turn; 300_000]).unwrap();
            }
            let read = storage.store.get("files/a").unwrap().unwrap();
            assert!(read.len() == 300_000 && read.iter().all(|byte| *byte == read[0]));
        }
    });
}
