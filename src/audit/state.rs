//! What a camera's state folder says: whose it is, which model it uses, what it has spent, what its owner agrees to.

use std::path::{Path, PathBuf};

use anyhow::Context;
use volet_edge::agent::{AgentError, Spent, StateError, Status, latest_release, load_active, spent, status};
use volet_edge::egress::ledger::{Kind, Record};
use volet_federated::Rho;
use volet_federated::accounting::{Delta, zcdp};
use volet_federated::lineage::Release;
use volet_federated::signing::VerifyingKey;

use super::claims::Claim;

/// An enrolled camera.
pub(crate) struct Camera {
    pub(crate) folder: PathBuf,
    pub(crate) key: VerifyingKey,
    status: Status,
}

/// The delta at which what was spent is stated.
const DELTA: f64 = 1e-6;

const MODEL: &str = "the model in use is one that its team signed, unaltered";
const BUDGET: &str = "what the camera has told about its place is within what its owner allows";

impl Camera {
    /// Reads a state folder.
    ///
    /// # Errors
    /// It is no enrolled camera's, or it is damaged, or may not be read by this user.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let status = status(folder, Delta::new(DELTA)?).with_context(|| format!("{}", folder.display()))?;
        let key = blake3::Hash::from_hex(&status.identity)?;
        let key = VerifyingKey::from_bytes(key.as_bytes()).context("the camera's key is none")?;
        Ok(Self { folder: folder.to_owned(), key, status })
    }

    /// Whom it calls.
    pub(crate) fn aggregator(&self) -> &str {
        &self.status.aggregator
    }
}

/// What can be told from the folder, and from what the camera's ledger says of updates.
pub(crate) fn claims(camera: &Camera, network: &[Record]) -> Vec<Claim> {
    let updates = network.iter().filter(|record| record.entry.kind == Kind::Update).count();
    let status = &camera.status;
    vec![
        model(&camera.folder),
        budget(&camera.folder, updates),
        Claim::of("what the owner agrees to is known", status.consent.since > 0, status.consent.to_string()),
    ]
}

/// The model in use, held against the release that the team has signed.
fn model(folder: &Path) -> Claim {
    let read = || -> anyhow::Result<_> { Ok((latest_release(folder)?, load_active(folder)?)) };
    match read() {
        Ok((release, (active, model))) => {
            signed(&release, active.release, &active.model, &model.manifest().blake3.to_string())
        }
        Err(error) => Claim::failed(MODEL, format!("{error:#}")),
    }
}

/// Whether a model with this hash, learned from a file with that one, is what the team's release names.
fn signed(release: &Release, number: u64, model: &str, first: &str) -> Claim {
    let (lineage, named) = (release.lineage.to_string(), blake3::Hash::from_bytes(release.model).to_string());
    let what = format!("release {number} of lineage {}, file {}", short(&lineage), short(model));
    let latest = format!("the team has signed release {}, file {}", release.number, short(&named));
    if first != lineage {
        return Claim::failed(
            MODEL,
            format!("it comes from file {}, and the lineage began with {}", short(first), short(&lineage)),
        );
    }
    // The first file's name is that of the lineage, which is signed with every release.
    let known = if number == release.number { model == named } else { model == lineage };
    if known && number <= release.number {
        return Claim::of(MODEL, true, format!("{what}; {latest}"));
    }
    if number < release.number && number > 0 {
        let why = "the camera keeps the latest release's signature alone, so that this one's cannot be checked here";
        return Claim::skipped(MODEL, format!("{what}; {latest}; {why}"));
    }
    Claim::failed(MODEL, format!("{what} is in use, and {latest}: it is not that one"))
}

/// What was spent, by the ledger as the camera would check it, and by what left.
fn budget(folder: &Path, updates: usize) -> Claim {
    let read = || -> anyhow::Result<_> { Ok((spent(folder)?, latest_release(folder)?, Delta::new(DELTA)?)) };
    match read() {
        Ok((spent, release, delta)) => within(&spent, &release, delta, updates),
        Err(error) => {
            let denied = |error: &AgentError| matches!(error, AgentError::State(StateError::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied);
            let seen = format!("{error:#}");
            if error.downcast_ref().is_some_and(denied) {
                Claim::skipped(BUDGET, seen)
            } else {
                Claim::failed(BUDGET, seen)
            }
        }
    }
}

fn within(Spent { statement, unread }: &Spent, release: &Release, delta: Delta, updates: usize) -> Claim {
    let epsilon = |rho| if rho == Rho::ZERO { 0.0 } else { zcdp::epsilon(rho, delta) };
    let sealed = statement.rounds.iter().filter(|round| round.state.payload().is_some()).count();
    let (account, life) = (statement.lineages.get(&release.lineage), &statement.lifetime);
    let mut faults = Vec::new();
    if *unread > 0 {
        faults.push(format!(
            "{unread} bytes at the end of the budget's ledger are no record: a power cut left them, or they were altered. Start the agent, \
             which tells which"
        ));
    }
    if updates > 0 && sealed == 0 {
        faults.push(format!("{updates} messages with updates left, and the budget's ledger has no round for them"));
    }
    if account.is_some_and(|account| account.spent > account.limit) || life.spent > life.limit {
        faults.push("more was spent than the owner allows".to_owned());
    }
    let limit = statement.policy.limits.lineage;
    let of_it = match account {
        Some(account) => {
            format!("epsilon {:.3} of {:.3} spent on this model", epsilon(account.spent), epsilon(account.limit))
        }
        None => format!("no round of this model in the ledger (epsilon {:.3} is allowed)", epsilon(limit)),
    };
    let seen = format!(
        "{of_it}, {:.3} of {:.3} on all, at delta {DELTA:e}, in {sealed} rounds; checked with the device's own secret and counter",
        epsilon(life.spent),
        epsilon(life.limit)
    );
    Claim::unless(BUDGET, &faults, seen)
}

fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::super::claims::Verdict;
    use super::*;

    #[test]
    fn only_what_the_teams_release_names_is_its_model() {
        let hash = |byte: u8| blake3::Hash::from_bytes([byte; 32]).to_string();
        let first = Release::first([1; 32], String::new(), 4);
        let (parent, model) = (Some([9; 32]), [5; 32]);
        let fifth = Release { number: 5, parent, model, rounds: 3, ..first.clone() };
        let verdict =
            |release: &Release, number, model: u8, from: u8| signed(release, number, &hash(model), &hash(from)).verdict;
        assert_eq!(verdict(&first, 0, 1, 1), Verdict::Held);
        assert_eq!(verdict(&fifth, 5, 5, 1), Verdict::Held);
        // What everything started from is named by every release.
        assert_eq!(verdict(&fifth, 0, 1, 1), Verdict::Held);
        // Another file, another first file, a release that nobody has signed.
        for (release, number, model, from) in [
            (&first, 0, 6, 1),
            (&first, 0, 6, 6),
            (&fifth, 5, 6, 1),
            (&fifth, 5, 5, 6),
            (&fifth, 6, 5, 1),
            (&fifth, 0, 6, 1),
        ] {
            assert_eq!(verdict(release, number, model, from), Verdict::Failed, "{number} {model} {from}");
        }
        // Its signature is no longer there.
        assert_eq!(verdict(&fifth, 4, 7, 1), Verdict::NotExamined);
    }
}
