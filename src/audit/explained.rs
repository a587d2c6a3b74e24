//! What was captured, held against what the camera wrote down meanwhile.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::claims::Claim;
use super::packets::{self, Mac, Sender};
use super::reconcile::{Reconciled, reconcile};
use super::{capture, ledgers, state::Camera};
use crate::cli::AuditArgs;

/// What was captured, before or now, held against the ledger; none where nobody asked for it.
///
/// # Errors
/// There is no such capture, or this process may make none.
pub(super) fn explained(
    args: &AuditArgs,
    camera: &Camera,
    books: &ledgers::Books,
) -> anyhow::Result<Option<Reconciled>> {
    let sender = sender(&args.cards)?;
    if let Some(file) = &args.capture {
        return Ok(Some(reconcile(&read(file, &sender)?, &books.network)));
    }
    let Some(seconds) = args.live else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("live.pcap");
    let captured = capture::capture(&file, Some(Duration::from_secs(seconds)), || {}, &|| false)?;
    // What was written down while it was captured has to be read too.
    let (books, _) = ledgers::read(&args.state, camera.key, args.anchor.as_deref());
    let mut sent = read(&file, &sender)?;
    (sent.when, sent.lost) = (Some(captured.when), captured.lost);
    Ok(Some(reconcile(&sent, &books.network)))
}

fn sender(given: &[String]) -> anyhow::Result<Sender> {
    if given.is_empty() {
        return Ok(Sender::Here(capture::cards()));
    }
    let card = |text: &String| capture::parse(text).with_context(|| format!("{text} is no card's address"));
    Ok(Sender::Cards(given.iter().map(card).collect::<anyhow::Result<BTreeSet<Mac>>>()?))
}

fn read(file: &Path, sender: &Sender) -> anyhow::Result<packets::Sent> {
    let open = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    packets::sent(BufReader::new(open), sender).with_context(|| format!("{}", file.display()))
}

/// What follows from it.
pub(super) fn claim(told: Option<&Reconciled>) -> Claim {
    let claim = "every byte that this machine sent while it was watched is one that the ledger says would go";
    let Some(told) = told else {
        return Claim::skipped(claim, "nothing was captured (--live SECONDS as root, or --capture FILE)");
    };
    let mut seen = match told.share() {
        Some(share) => format!("explained bytes {share} ({} of {})", told.explained_bytes, told.bytes),
        None => "it was seen to say nothing".to_owned(),
    };
    seen.push_str(&format!(", {} packets, {} of them unexplained", told.packets, told.unexplained_packets));
    for (to, strange) in told.unexplained.iter().take(5) {
        seen.push_str(&format!("; to {to}: {} packets, {} bytes", strange.packets, strange.bytes));
    }
    if told.late_bytes > 0 {
        seen.push_str(&format!("; {} bytes were written down after they had gone", told.late_bytes));
    }
    if told.lost > 0 {
        seen.push_str(&format!("; {} packets were lost, of which nothing is known: capture again", told.lost));
    }
    if told.ledger_bytes > told.explained_bytes {
        seen.push_str(&format!(
            "; by the ledger {} bytes were to go meanwhile: what was not seen went another way than where it was watched, or not at all",
            told.ledger_bytes
        ));
    }
    seen.push_str(&format!("; {} packets of others were left out", told.others));
    if told.other_cards > 0 {
        seen.push_str(&format!(", and {} that other cards of the machine sent than those named", told.other_cards));
    }
    if told.ethernet_only {
        seen.push_str("; the capture is of Ethernet alone: what went by a modem, a VPN or a tunnel is not in it");
    }
    Claim { claim: claim.into(), verdict: told.verdict(), seen }
}
