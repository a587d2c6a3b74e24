//! `doctor`: whether everything that an aggregator needs is there and in order, before it is missed.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use x509_parser::pem::Pem;

use super::watch::ask;
use crate::aggregator::Setup;
use crate::aggregator::config::DELTA;

const DAY: i64 = 86_400;
/// Certificates that end sooner are to be renewed.
const SOON: i64 = 30 * DAY;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Finding {
    verdict: Verdict,
    what: &'static str,
    says: String,
}

/// Looks at everything and says what it found; whether nothing has failed.
pub(super) fn doctor(dir: &Path, json: bool) -> anyhow::Result<bool> {
    let mut findings = Vec::new();
    look(dir, &mut findings);
    if json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        for Finding { verdict, what, says } in &findings {
            let verdict = match verdict {
                Verdict::Good => "good   ",
                Verdict::Warning => "WARNING",
                Verdict::Failed => "FAILED ",
            };
            println!("{verdict}  {what:<12} {says}");
        }
    }
    Ok(findings.iter().all(|finding| finding.verdict < Verdict::Failed))
}

fn look(dir: &Path, findings: &mut Vec<Finding>) {
    let mut say = |verdict, what, says: String| findings.push(Finding { verdict, what, says });
    let setup = match Setup::open(dir) {
        Ok(setup) => setup,
        Err(error) => return say(Verdict::Failed, "folder", error.to_string()),
    };
    say(Verdict::Good, "folder", format!("{} holds together", dir.display()));
    let (verdict, says) = permissions(dir);
    say(verdict, "keys", says);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    for (what, certificate) in [("server.pem", &setup.server.certificate), ("authority.pem", &setup.authority)] {
        let (verdict, says) = certificate_ends(certificate, now);
        say(verdict, what, says);
    }
    let task = &setup.checked.config.task;
    let (verdict, says) = match setup.checked.epsilon(task.rounds) {
        Some(epsilon) if epsilon <= 10.0 => (Verdict::Good, format!("epsilon {epsilon:.2} at delta {DELTA:e}")),
        Some(epsilon) => {
            (Verdict::Warning, format!("epsilon {epsilon:.1} at delta {DELTA:e} protects little: see docs/privacy.md"))
        }
        None => (Verdict::Failed, "these rounds cost more than any device may spend".to_owned()),
    };
    say(verdict, "privacy", format!("{says}, all {} rounds", task.rounds));
    match setup.book.releases() {
        Ok(releases) => {
            let broken = releases.windows(2).any(|pair| matches!(pair, [a, b] if b.0.number != a.0.number + 1));
            let verdict = if broken { Verdict::Failed } else { Verdict::Good };
            say(verdict, "register", format!("answers; {} releases, signed by the team's key", releases.len()));
        }
        Err(error) => say(Verdict::Failed, "register", error.to_string()),
    }
    match setup.book.try_store() {
        Ok(()) => say(Verdict::Good, "store", "what is written can be read".to_owned()),
        Err(error) => say(Verdict::Failed, "store", error.to_string()),
    }
    let shard = u64::from(task.most) * u64::from(task.parameters) * 4;
    match fs4::available_space(dir) {
        // A shard's journal is copied when it is opened.
        Ok(free) if free < 3 * shard + (64 << 20) => {
            let says = format!("{} MB free, and a shard may take {} MB", free >> 20, (2 * shard) >> 20);
            say(Verdict::Warning, "disk", says);
        }
        Ok(free) => say(Verdict::Good, "disk", format!("{} MB free", free >> 20)),
        Err(error) => say(Verdict::Warning, "disk", error.to_string()),
    }
    match setup.checked.config.dashboard.map(ask) {
        None => say(Verdict::Good, "server", "not asked: config.toml names no dashboard".to_owned()),
        Some(Ok(state)) => {
            let ahead = state.now.abs_diff(now.unsigned_abs() * 1000) / 1000;
            let verdict = if ahead > 60 { Verdict::Warning } else { Verdict::Good };
            say(verdict, "server", format!("answers; its clock is {ahead} s from this one"));
        }
        Some(Err(error)) => say(Verdict::Warning, "server", format!("{error:#}")),
    }
}

#[cfg(unix)]
fn permissions(dir: &Path) -> (Verdict, String) {
    use std::os::unix::fs::PermissionsExt;
    for name in [".", "authority.key", "server.key", "team.key", "enrolment.key"] {
        match std::fs::metadata(dir.join(name)) {
            Ok(file) if file.permissions().mode() & others(&dir.join(name)) != 0 => {
                let says = format!("others than their owner may read {name}: chmod go= {}", dir.join(name).display());
                return (Verdict::Failed, says);
            }
            Ok(_) => {}
            Err(error) => return (Verdict::Failed, format!("{name}: {error}")),
        }
    }
    (Verdict::Good, "their owner alone may read them".to_owned())
}

/// What a key's mode must not allow to others. systemd lets a service's user read its credentials by an access list, which a mode shows
/// as the group's right to read.
#[cfg(unix)]
fn others(key: &Path) -> u32 {
    let shown = key.canonicalize().is_ok_and(|key| key.starts_with("/run/credentials"));
    if shown { 0o037 } else { 0o077 }
}

#[cfg(not(unix))]
fn permissions(_dir: &Path) -> (Verdict, String) {
    (Verdict::Warning, "who may read them is not known on this system".to_owned())
}

fn certificate_ends(pem: &str, now: i64) -> (Verdict, String) {
    let parsed = Pem::iter_from_buffer(pem.as_bytes()).next().and_then(Result::ok);
    let ends = parsed.as_ref().and_then(|pem| pem.parse_x509().ok()).map(|it| it.validity().not_after.timestamp());
    match ends {
        None => (Verdict::Failed, "is no certificate".to_owned()),
        Some(ends) if ends <= now => (Verdict::Failed, "has ended: cameras refuse it".to_owned()),
        Some(ends) => {
            let verdict = if ends - now < SOON { Verdict::Warning } else { Verdict::Good };
            (verdict, format!("is good for {} days", (ends - now) / DAY))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::CertificateAuthority;

    #[test]
    fn certificates_are_missed_before_they_end() {
        let authority = CertificateAuthority::create(100).unwrap().certificate;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        for (days, verdict) in [(0, Verdict::Good), (69, Verdict::Good), (71, Verdict::Warning), (101, Verdict::Failed)]
        {
            assert_eq!(certificate_ends(&authority, now + days * DAY).0, verdict, "{days}");
        }
        assert_eq!(certificate_ends("no certificate", now).0, Verdict::Failed);
    }
}
