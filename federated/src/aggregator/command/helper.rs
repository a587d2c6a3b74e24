//! `helper`: the independent party of buffered rounds. It has a folder of its own, on a machine of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::aggregator::setup::{hex, secret};
use crate::camera::Camera;
use crate::client::{Credentials, Link, Plain};
use crate::helper::{DurableHelper, HelperError};
use crate::secagg::{Terms, ToServer, ToSite};
use crate::signing::{SigningKey, VerifyingKey};
use crate::storage::DirStorage;
use crate::{CohortSize, RoundId};

/// What a helper's folder holds beside what it has opened.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    camera: Camera,
    /// Hexadecimal, as all keys here.
    identity: String,
    exchange: String,
    certificate: Vec<u8>,
    /// No batch of fewer reports is opened.
    minimum: u32,
}

const FILE: &str = "helper.toml";

/// Makes a helper, enrols it, and says what goes into which file.
pub(super) fn init(dir: &Path, camera: &Path, token: &str, minimum: u32) -> anyhow::Result<()> {
    let file = dir.join(FILE);
    anyhow::ensure!(!file.exists(), "{} is a helper's already", dir.display());
    CohortSize::new(minimum)?;
    let text = std::fs::read_to_string(camera).with_context(|| format!("{}", camera.display()))?;
    let camera: Camera = toml::from_str(&text).context("camera.toml")?;
    let (mut identity, mut exchange) = ([0; 32], [0; 32]);
    getrandom::fill(&mut identity).and_then(|()| getrandom::fill(&mut exchange))?;
    let identity = SigningKey::from(identity);
    let certificate = tokio::runtime::Runtime::new()?.block_on(async {
        let stranger = Link::new(camera.aggregator.clone(), &camera.authority, None, Arc::new(Plain))?;
        stranger.enrol(token, &identity).await
    })?;
    let kept = Kept {
        camera,
        identity: hex(identity.into()),
        exchange: hex(exchange),
        certificate: certificate.0.certificate,
        minimum,
    };
    std::fs::create_dir_all(dir)?;
    secret(&file, &toml::to_string(&kept)?)?;
    let public = helper(dir, &kept)?.public();
    println!("# for the aggregator's config.toml");
    println!("[helper]");
    println!("identity = \"{}\"", hex(VerifyingKey::from(&identity).to_bytes()));
    println!("exchange = \"{}\"", hex(public));
    println!("\n# for the camera.toml of every camera, before it is enrolled");
    println!("helper_key = \"{}\"", hex(public));
    Ok(())
}

/// Answers the aggregator's batches until it is stopped.
pub(super) fn serve(dir: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(dir.join(FILE));
    let text = text.with_context(|| format!("{} is no helper's: make one with `helper init`", dir.display()))?;
    let kept: Kept = toml::from_str(&text).with_context(|| format!("{}", dir.join(FILE).display()))?;
    let helper = helper(dir, &kept)?;
    tokio::runtime::Runtime::new()?.block_on(answer(kept, helper))
}

type Helper = DurableHelper<DirStorage, DirStorage>;

fn helper(dir: &Path, kept: &Kept) -> anyhow::Result<Helper> {
    let (answers, opened) = (DirStorage::open(&dir.join("answers"))?, DirStorage::open(&dir.join("opened"))?);
    let (minimum, authority) = (CohortSize::new(kept.minimum)?, kept.camera.enrolment()?);
    Ok(DurableHelper::open(key(&kept.exchange)?, authority, minimum, answers, opened)?)
}

fn key(hex: &str) -> anyhow::Result<[u8; 32]> {
    Ok(*blake3::Hash::from_hex(hex).with_context(|| format!("{FILE} is damaged"))?.as_bytes())
}

async fn answer(kept: Kept, mut helper: Helper) -> anyhow::Result<()> {
    let own = Credentials { certificate: kept.certificate, key: SigningKey::from(key(&kept.identity)?) };
    let link = Link::new(kept.camera.aggregator, &kept.camera.authority, Some(&own), Arc::new(Plain))?;
    // A batch of the largest cohort's.
    let link = link.longest(64 << 20);
    println!("helping as {}", hex(VerifyingKey::from(&own.key).to_bytes()));
    let mut after: Option<RoundId> = None;
    loop {
        let told = match link.check_in(Some(u64::MAX)).await {
            Ok(told) => told,
            Err(error) if error.passes() => {
                tracing::warn!(%error, "the aggregator does not answer");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        // The helper is told of the round that goes on, whether or not it gathers reports.
        let present = told.round.and_then(|terms| Terms::try_from(terms).ok()).map(|terms| terms.round());
        let Some(round) = present.filter(|round| Some(*round) != after) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        match help(&link, &mut helper, round).await {
            Ok(Some(sites)) => {
                println!("round {}: the masks of {sites} reports", round.number());
                after = Some(round);
            }
            Ok(None) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "round {} is not helped", round.number());
                if error.downcast_ref().is_some_and(|error| !matches!(error, HelperError::Refused(_))) {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Between two looks for a round.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits for a round's batch and answers it: how many reports it held; `None` where the round is over, or not yet.
async fn help(link: &Link, helper: &mut Helper, round: RoundId) -> anyhow::Result<Option<usize>> {
    loop {
        let (_, message, over) = link.hear(round, 0).await?;
        match message {
            Some(ToSite::Seeds(batch)) => {
                let sum = helper.sum(&batch)?;
                link.say(round, ToServer::MaskSum(sum)).await?;
                return Ok(Some(batch.seeds.len()));
            }
            _ if over => return Ok(None),
            _ => {}
        }
    }
}
