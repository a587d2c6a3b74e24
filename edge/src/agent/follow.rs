//! Releases: accepted by their signature and their past, fetched, judged, and put in use or refused. And how a running
//! camera follows which model is in use.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use volet_federated::client::ClientError;
use volet_federated::lineage::{Accepted, Lineage, Release};
use volet_models::{Manifest, Model};
use volet_proto::v1;

use super::enrol::put_active;
use super::state::{self, Active, State, StateError, at, values};
use super::{Agent, AgentError, Event, Kind, TalentError, now};
use crate::slot::ModelSlot;

impl Agent {
    /// Takes what a server offers, and brings the model in use up to the latest release.
    pub(super) async fn follow(&mut self, offered: Option<v1::SignedRelease>) -> Result<(), AgentError> {
        if let Some(signed) = offered {
            self.accept(&signed)?;
        }
        let latest = self.lineage.latest().clone();
        let id = blake3::Hash::from_bytes(self.lineage.id());
        if latest.number <= self.active.release || self.journal.refuses(Kind::Release, &id, now()) {
            return Ok(());
        }
        match self.try_release(&latest).await {
            Ok(()) => Ok(()),
            Err(AgentError::Talent(TalentError::Unfit(why))) => {
                let why = format!("release {} is not used: {why}", latest.number);
                self.refuse(Kind::Release, &id, why)
            }
            Err(error) => Err(error),
        }
    }

    fn accept(&mut self, signed: &v1::SignedRelease) -> Result<(), AgentError> {
        let id = blake3::hash(&signed.encode_to_vec());
        if self.journal.refuses(Kind::Release, &id, now()) {
            return Ok(());
        }
        let mut lineage = self.lineage.clone();
        match lineage.accept(signed) {
            Ok(Accepted::Known) => {}
            Ok(Accepted::Newer(_)) => {
                self.state.put(state::RELEASE, &signed.encode_to_vec())?;
                self.lineage = lineage;
            }
            Err(error) => self.refuse(Kind::Release, &id, error.to_string())?,
        }
        Ok(())
    }

    /// Puts a release in use, unless it cannot be used or is worse than the one that is.
    async fn try_release(&mut self, release: &Release) -> Result<(), AgentError> {
        let unfit = |why: &str| TalentError::Unfit(why.to_owned());
        let hash = blake3::Hash::from_bytes(release.model);
        let candidate = if release.model == *release.lineage.as_bytes() {
            // Back to the file that everything started from.
            vec![0.0; self.parameters]
        } else {
            let length = 4 * self.parameters as u64;
            if release.size != length {
                return Err(unfit(&format!("it has {} bytes, and this model's has {length}", release.size)).into());
            }
            let bytes = self.fetch(&hash, release.size).await?;
            values(&bytes).ok_or_else(|| unfit("it holds values that are not numbers"))?
        };
        let (present, next) = (self.learned.clone(), candidate.clone());
        let (before, after) = self.judge.work(move |judge| judge.compare(&present, &next)).await?;
        // What cannot be compared is no better.
        if after.is_nan() || after < before {
            let why = format!("on this camera's own frames it is worse, {after:.4} where {before:.4} was");
            return Err(TalentError::Unfit(why).into());
        }
        let active = Active { release: release.number, model: hash.to_string() };
        put_active(&mut self.state, &active)?;
        (self.active, self.learned) = (active, candidate);
        let first = blake3::Hash::from_bytes(*release.lineage.as_bytes());
        self.state.prune(&[&first, &hash])?;
        let why = format!("on this camera's own frames it is no worse, {after:.4} where {before:.4} was");
        self.journal.uses(release.number, why, now());
        self.write_journal()?;
        (self.tell)(&Event::Uses(release.number));
        Ok(())
    }

    /// A released file, from this disk or the aggregator's.
    async fn fetch(&mut self, hash: &blake3::Hash, size: u64) -> Result<Vec<u8>, AgentError> {
        if let Some(bytes) = self.state.model(hash)? {
            return Ok(bytes);
        }
        let mut partial = self.state.partial(hash)?;
        match self.link.fetch(*hash.as_bytes(), size, &mut partial).await {
            Ok(()) => self.state.finish(hash, &partial)?,
            Err(error) => {
                // What a try that broke off left is gone on from; what is not what was asked for is not.
                if !error.passes() {
                    self.state.discard(hash)?;
                }
                return Err(error.into());
            }
        }
        let bytes = self.state.model(hash)?;
        bytes.ok_or(AgentError::Client(ClientError::Hash))
    }
}

/// Which model is in use, and what it has learned. One whose file is damaged is left for the first of the lineage.
pub(super) fn active(state: &State, parameters: usize, lineage: &Lineage) -> Result<(Active, Vec<f32>), AgentError> {
    let active: Active =
        toml::from_str(&state.text(state::ACTIVE)?).map_err(|_| StateError::Damaged(state.path(state::ACTIVE)))?;
    let first = blake3::Hash::from_bytes(*lineage.latest().lineage.as_bytes());
    let hash = blake3::Hash::from_hex(&active.model).ok().filter(|hash| *hash != first);
    let learned = match hash {
        Some(hash) => state.model(&hash)?.and_then(|bytes| values(&bytes)).filter(|values| values.len() == parameters),
        None => None,
    };
    Ok(match learned {
        Some(learned) => (active, learned),
        // It is fetched and judged again.
        None if hash.is_some() => (Active { release: 0, model: first.to_string() }, vec![0.0; parameters]),
        None => (active, vec![0.0; parameters]),
    })
}

/// The model that a state folder's agent has in use, read while the agent works.
///
/// # Errors
/// A file is missing or damaged, or what was learned does not fit: a message for people.
pub fn load_active(folder: &Path) -> Result<(Active, Model), LoadActiveError> {
    let text = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(at(&path)).map_err(LoadActiveError::from)
    };
    let active: Active = toml::from_str(&text(state::ACTIVE)?)?;
    let manifest = Manifest::parse(&text(state::MANIFEST)?)?;
    let file = |hash: &str| {
        let hash = blake3::Hash::from_hex(hash).map_err(|_| StateError::Damaged(folder.join(state::ACTIVE)))?;
        let path = folder.join(state::model_name(&hash));
        std::fs::read(&path).map_err(at(&path)).map_err(LoadActiveError::from)
    };
    let first = manifest.blake3.to_string();
    let base = Model::new(manifest, file(&first)?)?;
    if active.model == first {
        return Ok((active, base));
    }
    let learned = file(&active.model)?;
    let sound = blake3::hash(&learned).to_string() == active.model;
    let learned = values(&learned).filter(|_| sound).ok_or(LoadActiveError::Learned)?;
    let model = base.learned(&learned)?;
    Ok((active, model))
}

/// Why the model in use cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum LoadActiveError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the file that says which model is in use cannot be read: {0}")]
    Active(#[from] toml::de::Error),
    #[error(transparent)]
    Manifest(#[from] volet_models::ManifestError),
    #[error(transparent)]
    Fit(#[from] volet_models::LearnedError),
    #[error(transparent)]
    Load(#[from] volet_models::LoadError),
    #[error("what the model in use has learned is damaged: the agent fetches it again")]
    Learned,
}

/// Keeps a slot at the model that an agent has in use.
pub struct Follower {
    folder: PathBuf,
    slot: ModelSlot,
    seen: Active,
    /// By which an audit knows this process for one of the camera's.
    _known: Option<File>,
}

impl Follower {
    /// A slot with the model in use now, and who keeps it so.
    ///
    /// # Errors
    /// A [`LoadActiveError`].
    pub fn new(folder: &Path) -> Result<Self, LoadActiveError> {
        let (seen, model) = load_active(folder)?;
        let known = File::open(folder.join(state::MODELS).join(state::LOCK)).ok();
        Ok(Self { folder: folder.to_owned(), slot: model.into(), seen, _known: known })
    }

    /// The slot.
    pub fn slot(&self) -> ModelSlot {
        self.slot.clone()
    }

    /// Looks once; whether another model was put in place. One that cannot be made ready leaves the present one where
    /// it is.
    pub fn look(&mut self) -> bool {
        let swapped = match load_if_new(&self.folder, &self.seen) {
            Ok(None) => return false,
            Ok(Some((active, model))) => {
                self.seen = active;
                self.slot.put(Arc::new(model))
            }
            Err(error) => {
                // The agent may be about to replace the files; the next look tells.
                tracing::warn!(%error, "the model in use cannot be loaded; the one before goes on");
                return false;
            }
        };
        tracing::info!(release = self.seen.release, swapped, "another model is in use");
        swapped
    }

    /// Looks every second, on a thread of its own, until the program ends.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(mut self) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name("models".to_owned());
        thread.spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                self.look();
            }
        })?;
        Ok(())
    }
}

fn load_if_new(folder: &Path, seen: &Active) -> Result<Option<(Active, Model)>, LoadActiveError> {
    let path = folder.join(state::ACTIVE);
    let active: Active = toml::from_str(&std::fs::read_to_string(&path).map_err(at(&path))?)?;
    if active == *seen {
        return Ok(None);
    }
    let (active, model) = load_active(folder)?;
    // It is made ready here, not between two frames.
    model.at(None)?;
    Ok(Some((active, model)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use volet_models::builtin;

    /// A state folder as far as a follower reads it.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, model) = builtin::default_files();
        let first = blake3::hash(model);
        std::fs::create_dir(folder.path().join(state::MODELS)).unwrap();
        std::fs::write(folder.path().join(state::MANIFEST), manifest).unwrap();
        std::fs::write(folder.path().join(state::model_name(&first)), model).unwrap();
        use_release(folder.path(), 0, &first.to_string());
        folder
    }

    fn use_release(folder: &Path, release: u64, model: &str) {
        let active = Active { release, model: model.to_owned() };
        std::fs::write(folder.join(state::ACTIVE), toml::to_string(&active).unwrap()).unwrap();
    }

    #[test]
    fn a_follower_swaps_to_what_can_be_used_and_stays_otherwise() {
        let folder = folder();
        let mut follower = Follower::new(folder.path()).unwrap();
        let slot = follower.slot();
        let first = slot.get();
        assert!(!follower.look(), "nothing has changed");
        let mut keeps = |model: &str| {
            use_release(folder.path(), 1, model);
            assert!(!follower.look());
            assert!(Arc::ptr_eq(&slot.get(), &first), "{model}");
        };
        let name = |bytes: &[u8]| blake3::hash(bytes).to_string();
        let write = |bytes: &[u8], file: &[u8]| {
            std::fs::write(folder.path().join(state::model_name(&blake3::hash(bytes))), file).unwrap();
        };
        let learned: Vec<u8> = (0..38_098).flat_map(|_| 0.01_f32.to_le_bytes()).collect();
        keeps(&name(&learned));
        for (named, bytes) in [
            (&learned[..], &learned[..400]),
            (&learned[..400], &learned[..400]),
            (&[0xff; 38_098 * 4], &[0xff; 38_098 * 4]),
        ] {
            write(named, bytes);
            keeps(&name(named));
        }
        keeps("../../etc/passwd");
        std::fs::write(folder.path().join(state::ACTIVE), "rubbish").unwrap();
        assert!(!follower.look());
        write(&learned, &learned);
        use_release(folder.path(), 2, &name(&learned));
        assert!(follower.look() && !follower.look());
        assert!(!Arc::ptr_eq(&slot.get(), &first));
        assert_eq!(slot.get().trained().unwrap().len(), 38_098);
    }
}
