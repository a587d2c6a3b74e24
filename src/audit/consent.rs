//! What left, held against what the owner agreed to, in the ledger's own order of events.

use volet_edge::egress::ledger::{Group, Kind, Record};

use super::claims::Claim;

/// Nothing went over the network while the owner did not agree to learning, as the ledger itself has it.
pub(crate) fn claim(network: &[Record]) -> Claim {
    let claim = "nothing left over the network while the owner had learning switched off";
    // Nothing was agreed to before the first record of all; what was before the first that is kept is not known.
    let whole = network.first().is_none_or(|first| first.number <= 1);
    let mut agreed = whole.then_some(false);
    let mut enrols = whole.then_some(false);
    let (mut against, mut unknown, mut changes) = (0, 0, 0);
    for Record { entry, .. } in network {
        match entry.kind {
            // Enrolling is the owner's own doing.
            Kind::Started => enrols = Some(entry.policy.ends_with("Enrolment")),
            Kind::Consent => {
                (agreed, changes) = (Some(entry.policy.starts_with("learning on")), changes + 1);
            }
            kind if kind.group() == Group::Note => {}
            _ => match (agreed, enrols) {
                (Some(true), _) | (_, Some(true)) => {}
                (Some(false), Some(false)) => against += 1,
                (None, _) | (_, None) => unknown += 1,
            },
        }
    }
    let seen = format!("{changes} times consent was looked up or changed; {against} entries went against it");
    if unknown == 0 {
        return Claim::of(claim, against == 0, seen);
    }
    let seen = format!(
        "{seen}; the ledger no longer has its beginning, and what was agreed to before {unknown} of its oldest entries is unknown"
    );
    if against > 0 { Claim::failed(claim, seen) } else { Claim::skipped(claim, seen) }
}

#[cfg(test)]
mod tests {
    use super::super::claims::Verdict;
    use super::*;
    use volet_edge::egress::ledger::Entry;

    fn verdict(first: u64, of: &[(Kind, &str)]) -> Verdict {
        let entry = |(kind, policy): &(Kind, &str)| Entry {
            kind: *kind,
            destination: String::new(),
            bytes: 1,
            digest: [0; 32],
            policy: (*policy).to_owned(),
            connection: 0,
        };
        let records: Vec<Record> =
            (first..).zip(of).map(|(number, of)| Record { number, at: 1, entry: entry(of) }).collect();
        claim(&records).verdict
    }

    #[test]
    fn what_left_is_held_against_what_was_agreed_to_then() {
        let (on, off) = ((Kind::Consent, "learning on, sharing off"), (Kind::Consent, "learning off, sharing off"));
        let (start, enrol) = ((Kind::Started, "volet-edge, Learning"), (Kind::Started, "volet-edge, Enrolment"));
        let wire = (Kind::Wire, "");
        assert_eq!(verdict(1, &[enrol, off, wire, start, on, wire]), Verdict::Held);
        assert_eq!(verdict(1, &[start, on, wire, off, wire]), Verdict::Failed);
        // Before anything was agreed to.
        assert_eq!(verdict(1, &[wire]), Verdict::Failed);
        // The beginning is no longer kept.
        assert_eq!(verdict(9, &[wire, on, wire]), Verdict::NotExamined);
        assert_eq!(verdict(9, &[on, wire]), Verdict::Held);
        assert_eq!(verdict(9, &[wire, start, off, wire]), Verdict::Failed);
    }
}
