//! Releases of models: signed, numbered, each naming the one before, and what a device accepts of them (G7).
//!
//! Whoever runs the aggregator can hold a release back, as any network can. They cannot pass off a model of their own, an
//! old one as new, one of another lineage, or, to a device that has the release before, one with another past.
//! Knows no files: who calls checks the model's bytes against the hash.

use prost::Message;
use volet_proto::v1;

use crate::budget::LineageId;
use crate::signing::{SigningKey, VerifyingKey};

/// Why a release does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum LineageError {
    #[error("the release is not signed by the key that this device trusts")]
    Signature,
    #[error("the release cannot be read: {0}")]
    Malformed(&'static str),
    #[error("the release is of lineage {offered}, and this device's model is of {own}")]
    Other { offered: LineageId, own: LineageId },
    #[error("release {offered} is older than {present}, which this device has")]
    Older { offered: u64, present: u64 },
    #[error(
        "there are two releases with the number {0}: whoever signs has shown different models to different devices"
    )]
    Fork(u64),
    #[error("release {0} does not follow the one that this device has: their pasts differ")]
    Past(u64),
}

/// A release's name: BLAKE3 of what was signed.
pub type ReleaseId = [u8; 32];

/// A release of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The file that everything started from.
    pub lineage: LineageId,
    /// From 0, rising by one.
    pub number: u64,
    /// The release before; none for number 0.
    pub parent: Option<ReleaseId>,
    /// BLAKE3 of the model file.
    pub model: [u8; 32],
    /// The model's name, for people.
    pub name: String,
    /// The file's size in bytes.
    pub size: u64,
    /// How many rounds went into it.
    pub rounds: u64,
}

impl Release {
    /// The most bytes of a name.
    pub const MAX_NAME: usize = 128;

    /// The first release of a lineage: the file that gives it its name.
    pub fn first(model: [u8; 32], name: String, size: u64) -> Self {
        Self { lineage: LineageId::from_bytes(model), number: 0, parent: None, model, name, size, rounds: 0 }
    }

    /// Signs the release.
    ///
    /// # Errors
    /// [`LineageError::Malformed`]: a device would refuse it.
    pub fn sign(&self, key: &SigningKey) -> Result<v1::SignedRelease, LineageError> {
        self.check()?;
        let release = v1::ModelRelease {
            lineage: self.lineage.as_bytes().to_vec(),
            number: self.number,
            parent: self.parent.map_or_else(Vec::new, Vec::from),
            model: Some(v1::ModelId { blake3: self.model.to_vec(), name: self.name.clone() }),
            size: self.size,
            rounds: self.rounds,
        };
        let release = release.encode_to_vec();
        let signature = key.sign(&message(&release)).to_bytes().to_vec();
        Ok(v1::SignedRelease { release, signature })
    }

    /// The release, and its name, if this key signed it.
    ///
    /// # Errors
    /// [`LineageError::Signature`], [`LineageError::Malformed`].
    pub fn verify(signed: &v1::SignedRelease, key: &VerifyingKey) -> Result<(Self, ReleaseId), LineageError> {
        if !key.signed(&message(&signed.release), &signed.signature) {
            return Err(LineageError::Signature);
        }
        let release = v1::ModelRelease::decode(signed.release.as_slice());
        let release = release.map_err(|_| LineageError::Malformed("it is no release"))?;
        let hash = |bytes: &[u8], what| <[u8; 32]>::try_from(bytes).map_err(|_| LineageError::Malformed(what));
        let model = release.model.ok_or(LineageError::Malformed("it names no model"))?;
        let parent = &release.parent;
        let read = Self {
            lineage: LineageId::from_bytes(hash(&release.lineage, "its lineage is no hash")?),
            number: release.number,
            parent: if parent.is_empty() { None } else { Some(hash(parent, "its parent is no hash")?) },
            model: hash(&model.blake3, "its model is no hash")?,
            name: model.name,
            size: release.size,
            rounds: release.rounds,
        };
        read.check()?;
        Ok((read, *blake3::hash(&signed.release).as_bytes()))
    }

    fn check(&self) -> Result<(), LineageError> {
        let begins = self.model == *self.lineage.as_bytes() && self.rounds == 0;
        match (self.number, self.parent) {
            (0, None) if begins => {}
            (0, _) => return Err(LineageError::Malformed("number 0 is not where its lineage begins")),
            (_, None) => return Err(LineageError::Malformed("it names no release before it")),
            (_, Some(_)) => {}
        }
        if self.name.len() > Self::MAX_NAME {
            return Err(LineageError::Malformed("its name is longer than 128 bytes"));
        }
        Ok(())
    }
}

/// What a device has of a lineage: its latest release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    key: VerifyingKey,
    latest: Release,
    id: ReleaseId,
}

/// What an accepted release is to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The one it has.
    Known,
    /// A later one: fetch the model, check its hash, and try it.
    Newer(Release),
}

impl Lineage {
    /// The lineage of a device whose latest release this is, by the key that it was given with its first model.
    ///
    /// # Errors
    /// As [`Release::verify`].
    pub fn of(signed: &v1::SignedRelease, key: VerifyingKey) -> Result<Self, LineageError> {
        let (latest, id) = Release::verify(signed, &key)?;
        Ok(Self { key, latest, id })
    }

    /// The latest release.
    pub fn latest(&self) -> &Release {
        &self.latest
    }

    /// Its name: the parent of the next one.
    pub fn id(&self) -> ReleaseId {
        self.id
    }

    /// Takes what a server offers. A device that was away may miss releases between; their pasts it cannot see then.
    ///
    /// # Errors
    /// A [`LineageError`]: the device keeps what it has.
    pub fn accept(&mut self, signed: &v1::SignedRelease) -> Result<Accepted, LineageError> {
        let (release, id) = Release::verify(signed, &self.key)?;
        if release.lineage != self.latest.lineage {
            return Err(LineageError::Other { offered: release.lineage, own: self.latest.lineage });
        }
        let (offered, present) = (release.number, self.latest.number);
        if offered < present {
            return Err(LineageError::Older { offered, present });
        }
        if offered == present {
            return if id == self.id { Ok(Accepted::Known) } else { Err(LineageError::Fork(offered)) };
        }
        if offered - present == 1 && release.parent != Some(self.id) {
            return Err(LineageError::Past(offered));
        }
        (self.latest, self.id) = (release.clone(), id);
        Ok(Accepted::Newer(release))
    }

    /// The release that follows, for whoever signs: another model, or an earlier one again.
    pub fn next(&self, model: [u8; 32], name: String, size: u64, rounds: u64) -> Release {
        let (lineage, number) = (self.latest.lineage, self.latest.number.saturating_add(1));
        Release { lineage, number, parent: Some(self.id), model, name, size, rounds }
    }
}

/// What is signed. The prefix keeps a release's signature from being one of anything else that the key signs.
fn message(release: &[u8]) -> Vec<u8> {
    [b"Volet model release v1\0", release].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> SigningKey {
        SigningKey::from([1; 32])
    }

    fn first(model: u8) -> v1::SignedRelease {
        Release::first([model; 32], "volet-1".to_owned(), 1000).sign(&key()).unwrap()
    }

    fn device() -> Lineage {
        Lineage::of(&first(7), (&key()).into()).unwrap()
    }

    fn next(of: &Lineage, model: u8) -> v1::SignedRelease {
        of.next([model; 32], "volet-1".to_owned(), 1000, 12).sign(&key()).unwrap()
    }

    #[test]
    fn releases_are_accepted_in_their_order_and_may_be_missed() {
        let (mut team, mut device, mut away) = (device(), device(), device());
        for model in [8, 9, 8] {
            let signed = next(&team, model);
            let Accepted::Newer(release) = team.accept(&signed).unwrap() else { panic!("it is new") };
            assert_eq!(device.accept(&signed), Ok(Accepted::Newer(release)));
            assert_eq!(device.accept(&signed), Ok(Accepted::Known));
        }
        // Rolled back to model 8, under number 3.
        assert_eq!((device.latest().number, device.latest().model), (3, [8; 32]));
        assert_eq!(device.id(), team.id());
        assert!(matches!(away.accept(&next(&team, 10)), Ok(Accepted::Newer(release)) if release.number == 4));
    }

    #[test]
    fn what_a_hostile_server_may_offer_is_refused() {
        let (mut device, mut forked) = (device(), device());
        let (a, b) = (next(&device, 8), next(&device, 9));
        device.accept(&a).unwrap();
        forked.accept(&b).unwrap();
        let kept = device.clone();
        let own = LineageId::from_bytes([7; 32]);
        let refused = |device: &mut Lineage, signed: &v1::SignedRelease| device.accept(signed).unwrap_err();
        assert_eq!(refused(&mut device, &first(7)), LineageError::Older { offered: 0, present: 1 });
        assert_eq!(refused(&mut device, &b), LineageError::Fork(1));
        assert_eq!(refused(&mut device, &next(&forked, 10)), LineageError::Past(2));
        let offered = LineageId::from_bytes([6; 32]);
        assert_eq!(refused(&mut device, &first(6)), LineageError::Other { offered, own });
        let stranger = SigningKey::from([2; 32]);
        let foreign = device.next([8; 32], String::new(), 1, 1).sign(&stranger).unwrap();
        assert_eq!(refused(&mut device, &foreign), LineageError::Signature);
        assert_eq!(device, kept);
    }

    #[test]
    fn what_is_no_release_is_neither_signed_nor_read() {
        let good = device().next([8; 32], "x".to_owned(), 1, 1);
        let long = Release { name: "x".repeat(129), ..good.clone() };
        let orphan = Release { parent: None, ..good.clone() };
        let second = Release { number: 0, parent: None, rounds: 0, ..good };
        for bad in [long, orphan, second] {
            assert!(matches!(bad.sign(&key()), Err(LineageError::Malformed(_))));
        }
        let signed = |release: Vec<u8>| {
            let signature = key().sign(&message(&release)).to_bytes().to_vec();
            Release::verify(&v1::SignedRelease { release, signature }, &(&key()).into()).map(|_| ())
        };
        assert!(matches!(signed(vec![0xff]), Err(LineageError::Malformed(_))));
        assert!(matches!(signed(Vec::new()), Err(LineageError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn no_altered_release_is_accepted(at in 0_usize..200, bit in 0_u32..8) {
            let mut signed = next(&device(), 8);
            let length = signed.release.len();
            let bytes = if at % 2 == 0 { &mut signed.release } else { &mut signed.signature };
            let at = at / 2 % bytes.len().min(length);
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(device().accept(&signed), Err(LineageError::Signature));
        }
    }
}
