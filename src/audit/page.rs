//! The audit as a page for people: one file that loads nothing, signed by the camera.
//!
//! What is signed is the report as JSON, which stands whole on the page, so that whoever is handed the page can check it
//! ([`check`](super::check)). Names in it may be hostile and only ever become text.

use std::path::Path;

use maud::{Markup, html};
use volet_edge::agent::sign_report;
use volet_edge::egress::ledger::shown;
use volet_edge::report::grouped;
use volet_edge::sandbox::Verdict as Lock;

use super::Report;
use super::claims::{Outcome, Verdict};
use crate::page::document;

const STYLE: &str = include_str!("style.css");

/// The page of a report; `json` is the report that is signed, by the camera of this state folder.
///
/// # Errors
/// The camera's key cannot be read.
pub(super) fn page(report: &Report, json: &str, state: &Path) -> anyhow::Result<String> {
    let signature = sign_report(state, json.as_bytes())?;
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let count = |verdict| report.claims.iter().filter(|claim| claim.verdict == verdict).count();
    let (held, failed, open) = (count(Verdict::Held), count(Verdict::Failed), count(Verdict::NotExamined));
    let header = html! {
        h1 { "What this camera did" }
        @match report.verdict {
            Outcome::Held => p.verdict.held { "All " (held) " claims held." },
            Outcome::Failed => p.verdict.failed { (failed) " of " (held + failed + open) " claims did not hold." },
            Outcome::NotAllExamined => p.verdict.not {
                (open) " of " (held + failed + open) " claims were not examined: of those this page shows nothing. The other "
                (held) " held."
            },
        }
        @if failed > 0 && open > 0 { p { (open) " were not examined: of those this page shows nothing." } }
        p.quiet { "Camera " code { (report.camera) } ", " time { (utc(report.at)) } }
    };
    let main = html! {
        section { h2 { "Claims" } (claims(report)) }
        section { h2 { "What left it" } (sent(report)) }
        section {
            h2 { "How to read this" }
            p { "A camera of this kind finds and covers faces by itself and learns by itself. No picture is sent to anybody. What may leave is "
                "a small vector of numbers, drowned in noise, that is only ever added up with those of other cameras; questions to the aggregator, whether "
                "there is anything to do; and redacted pictures, where the owner says so." }
            p { "Everything that leaves is written down in the camera's ledger before it goes. " em { "Explained bytes" } " are the bytes that were seen on the "
                "wire and are in that ledger, over all bytes that were seen: 1 means that nothing left besides." }
            p { "This page is the camera's own word, signed with its key. A capture on another machine, and a build of the program from its source, "
                "are what somebody who does not believe the camera should use." }
            @if !report.heads.is_empty() {
                p { "Keep what stands for the camera's ledgers as they are now: a later audit can be asked whether it is still part of them "
                    "(" code { "--head" } "). " @for head in &report.heads { code { (head) } " " } }
            }
        }
        @if let Some(sandbox) = &report.sandbox {
            section {
                h2 { "How the agent locked itself in" }
                table {
                    thead { tr { th { "What" } th { "What holds it" } th { "Whether" } } }
                    tbody {
                        @for claim in &sandbox.claims {
                            tr { td { (claim.says) } td { (claim.by) } td { (lock(&claim.verdict)) } }
                        }
                    }
                }
                @if !sandbox.beyond.is_empty() {
                    p { "What none of this can bound:" }
                    ul { @for beyond in &sandbox.beyond { li { (beyond) } } }
                }
            }
        }
        section {
            h2 { "Signature" }
            p { "The report below, byte for byte from its first brace to its last, is signed (Ed25519) by the camera " code { (report.camera) }
                ". Nothing else on this page is: " code { "volet audit --check PAGE --key CAMERA" } " checks the signature and says what the report says." }
            pre #signature { (signature) }
            details { summary { "The report" } pre #report { (json) } }
        }
    };
    Ok(document("Volet: an audit", &[STYLE], &header, &main))
}

fn claims(report: &Report) -> Markup {
    html! {
        table {
            thead { tr { th { "" } th { "Claim" } th { "What was seen" } } }
            tbody {
                @for claim in &report.claims {
                    @let (class, word) = match claim.verdict {
                        Verdict::Held => ("held", "held"),
                        Verdict::Failed => ("failed", "did not hold"),
                        Verdict::NotExamined => ("not", "not examined"),
                    };
                    tr class=(class) { td { span.mark { (word) } } td { (claim.claim) } td { (claim.seen) } }
                }
            }
        }
    }
}

/// Whether the system enforces something.
fn lock(verdict: &Lock) -> String {
    match verdict {
        Lock::Enforced => "enforced".to_owned(),
        Lock::Partly { why } => format!("in part: {why}"),
        Lock::NotEnforced { why } => format!("not enforced: {why}"),
    }
}

fn sent(report: &Report) -> Markup {
    html! {
        @if report.sent.is_empty() { p { "Nothing, as far as its ledgers go." } }
        @else {
            table {
                thead { tr { th { "What" } th { "Where to" } th.number { "How often" } th.number { "Bytes" } } }
                tbody {
                    @for sent in &report.sent {
                        tr { td { (format!("{:?}", sent.kind)) } td { (shown(&sent.destination)) }
                             td.number { (grouped(sent.count)) } td.number { (grouped(sent.bytes)) } }
                    }
                }
            }
            p.quiet { "Wire and Lookup are bytes as they went, encrypted; the other kinds are what they were before that. They are counted in both." }
        }
    }
}

/// Seconds since 1970 as a date and a time.
pub(super) fn utc(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    at.map_or_else(|| seconds.to_string(), |at| at.to_string())
}
