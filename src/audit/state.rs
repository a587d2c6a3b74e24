//! What a camera's state folder says: whose it is, which model it uses, what it has spent, what its owner agrees to, how it was
//! locked in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use volet_edge::agent::{Status, load_active, status};
use volet_edge::sandbox::{Mode, Report, Verdict};
use volet_federated::accounting::Delta;
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
const DNS: u16 = 53;

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

    /// Whether a connection to this address is one that a camera needs: to its aggregator's port, or to a name server.
    pub(crate) fn may_reach(&self, address: &SocketAddr) -> bool {
        let port =
            self.status.aggregator.rsplit_once(':').and_then(|(_, port)| port.trim_end_matches('/').parse().ok());
        address.port() == port.unwrap_or(443) || address.port() == DNS
    }
}

/// What can be told from the folder alone.
pub(crate) fn claims(camera: &Camera, folder: &Path) -> Vec<Claim> {
    let status = &camera.status;
    let model = load_active(folder).map(|(active, _)| {
        format!(
            "release {} of lineage {}, file {}; the latest is release {}, signed by the team",
            active.release,
            short(&status.lineage),
            short(&active.model),
            status.latest_release
        )
    });
    let budget = match &status.budget {
        None => Claim::of(BUDGET, false, "the budget's ledger is damaged; the camera takes part in nothing any more"),
        Some(b) => Claim::of(
            BUDGET,
            b.spent <= b.limit,
            format!(
                "epsilon {:.3} of {:.3} spent on this model, {:.3} on all, at delta {:e}, in {} rounds",
                b.spent, b.limit, b.lifetime_spent, b.delta, status.rounds
            ),
        ),
    };
    vec![
        Claim::tried("the model in use is one that its team signed, unaltered", model),
        budget,
        Claim::of("what the owner agrees to is known", status.consent.since > 0, status.consent.to_string()),
    ]
}

const BUDGET: &str = "what the camera has told about its place is within what its owner allows";

/// What the agent wrote down of how it locked itself in when it started.
pub(crate) fn sandbox(folder: &Path) -> (Option<Report>, Claim) {
    let claim = "when it started, the agent locked itself in as far as this system can";
    let Ok(text) = std::fs::read_to_string(folder.join("sandbox.json")) else {
        return (None, Claim::skipped(claim, "the agent has written nothing down about it: it was not started yet"));
    };
    match serde_json::from_str::<Report>(&text) {
        Ok(report) => {
            let loose = report.claims.iter().filter(|claim| matches!(claim.verdict, Verdict::NotEnforced { .. }));
            let loose: Vec<String> = loose.map(ToString::to_string).collect();
            let seen = if loose.is_empty() {
                format!(
                    "{} points on Linux {}, {} of them only in part",
                    report.claims.len(),
                    report.kernel,
                    report.open().len()
                )
            } else {
                loose.join("; ")
            };
            let held = report.mode != Mode::Off && loose.is_empty();
            (Some(report), Claim::of(claim, held, seen))
        }
        Err(error) => (None, Claim::of(claim, false, error.to_string())),
    }
}

fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}
