//! The hash of one record, by which an auditor knows again what they saw; and whether a ledger has a second place. Wants no secret and
//! writes nothing.

use std::path::Path;

use volet_federated::signing::VerifyingKey;

use super::frame::Body;
use super::reader::{ReadError, walk};

/// The hash that a ledger has of a record's body, as a [`Head`](super::Head) of that number holds it; none where the record is not
/// there. It holds the hash of the record before, and so on. Whether the ledger holds is for [`verify`](super::verify) to say.
///
/// # Errors
/// A [`ReadError`].
pub fn hash_of(path: &Path, key: Option<VerifyingKey>, number: u64) -> Result<Option<[u8; 32]>, ReadError> {
    let mut found = None;
    walk(path, key, &[], &mut |_| {}, &mut |_, items| {
        let is_it = |body: &Body| matches!(body, Body::Record { record, .. } if record.number == number);
        found = found.or_else(|| items.iter().find(|item| is_it(&item.frame.body)).map(|item| item.hash));
        Ok(())
    })?;
    Ok(found)
}

/// Whether the ledger's newest file says that its head is kept in a second place: one that is not there was removed.
///
/// # Errors
/// A [`ReadError`].
pub fn is_anchored(path: &Path, key: Option<VerifyingKey>) -> Result<bool, ReadError> {
    let mut anchored = false;
    walk(path, key, &[], &mut |_| {}, &mut |_, items| {
        let says = |body: &Body| matches!(body, Body::Opening(opening) if opening.anchored);
        anchored = items.first().is_some_and(|item| says(&item.frame.body));
        Ok(())
    })?;
    Ok(anchored)
}

#[cfg(test)]
mod tests {
    use volet_federated::signing::SigningKey;
    use volet_federated::storage::DirStorage;

    use super::super::{Entry, Kind, Ledger, Limits};
    use super::*;

    #[test]
    fn a_record_has_the_hash_of_the_head_that_ended_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let storage = DirStorage::open(folder.path()).unwrap();
        let mut ledger = Ledger::open(storage, &SigningKey::from([7; 32]), Limits::default()).unwrap();
        let entry = |bytes| Entry {
            kind: Kind::Wire,
            destination: String::new(),
            bytes,
            digest: [1; 32],
            policy: String::new(),
            connection: 1,
        };
        let heads: Vec<_> = (1..4).map(|n| (ledger.append(n, entry(n)).unwrap(), ledger.head().hash)).collect();
        for (number, hash) in heads {
            assert_eq!(hash_of(folder.path(), None, number).unwrap(), Some(hash));
        }
        assert_eq!(hash_of(folder.path(), None, 4).unwrap(), None);
        assert!(!is_anchored(folder.path(), None).unwrap());
        let [ledger, anchor] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [storage, second] = [&ledger, &anchor].map(|folder| DirStorage::open(folder.path()).unwrap());
        let key = SigningKey::from([7; 32]);
        let _open = Ledger::open_anchored(storage, second, &key, Limits::default()).unwrap();
        assert!(is_anchored(ledger.path(), None).unwrap());
    }
}
