//! What the agent wrote down of how it locked itself in, held against the agent that runs.
//!
//! Nobody has signed it: it is worth something where it is the word of the process that is running, and no more than that word.

use std::fs::File;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use volet_edge::sandbox::{Aspect, Mode, Report, Verdict};

use super::claims::Claim;
use super::layout;
use super::process::Program;

const CLAIM: &str = "the agent that runs says that it locked itself in, in every respect, as far as this system can";

/// Everything that a sandbox's report is about.
const ASPECTS: [Aspect; 12] = [
    Aspect::Privileges,
    Aspect::User,
    Aspect::Capabilities,
    Aspect::Memory,
    Aspect::Files,
    Aspect::Programs,
    Aspect::Tcp,
    Aspect::Udp,
    Aspect::Listening,
    Aspect::Sockets,
    Aspect::Processes,
    Aspect::Calls,
];
/// By how much the system's word for when a process was started may be off, in seconds.
const SLACK: u64 = 2;

/// The report, and what it is worth.
pub(crate) fn sandbox(folder: &Path, programs: &[Program]) -> (Option<Report>, Claim) {
    let path = layout::sandbox_report(folder);
    let written = File::open(&path).and_then(|file| file.metadata()?.modified());
    let (Ok(text), Ok(written)) = (std::fs::read_to_string(&path), written) else {
        let why = "the agent has written nothing down about it: it was not started yet, or this user may not read it";
        return (None, Claim::skipped(CLAIM, why));
    };
    match serde_json::from_str::<Report>(&text) {
        Ok(report) => {
            let [(_, places), _] = layout::programs(folder);
            let agents: Vec<&Program> = programs.iter().filter(|program| program.has_one_of(&places)).collect();
            let claim = claim(&report, written, &agents);
            (Some(report), claim)
        }
        Err(error) => (None, Claim::failed(CLAIM, error)),
    }
}

fn claim(report: &Report, written: SystemTime, agents: &[&Program]) -> Claim {
    let mut faults = faults(report);
    let after = |program: &Program| {
        let written = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        written.saturating_add(SLACK) >= program.started
    };
    let of_it = |program: &&Program| u32::try_from(program.own_pid) == Ok(report.process) && after(program);
    let strangers = agents.iter().filter(|program| !of_it(program));
    faults.extend(strangers.map(|program| {
        format!(
            "what it wrote is of process {}, or older than process {}, which is the agent that runs",
            report.process, program.pid
        )
    }));
    let seen = format!(
        "process {}: {} points on Linux {}, {} of them only in part",
        report.process,
        report.claims.len(),
        report.kernel,
        report.open().len()
    );
    match agents {
        [] if faults.is_empty() => {
            let why = "the agent does not run, or this user may not see it; nobody has signed what it wrote when it last started";
            Claim::skipped(CLAIM, format!("{why} ({seen})"))
        }
        _ => Claim::unless(CLAIM, &faults, seen),
    }
}

/// What a report itself admits, or leaves out.
fn faults(report: &Report) -> Vec<String> {
    let mut faults = Vec::new();
    if report.mode == Mode::Off {
        faults.push("it was started with --sandbox off".to_owned());
    }
    for aspect in ASPECTS {
        let count = report.claims.iter().filter(|claim| claim.about == aspect).count();
        if count != 1 {
            faults.push(format!("it says {count} times what holds of {aspect:?}, not once"));
        }
    }
    let loose = report.claims.iter().filter(|claim| matches!(claim.verdict, Verdict::NotEnforced { .. }));
    faults.extend(loose.map(ToString::to_string));
    faults
}

#[cfg(test)]
mod tests {
    use super::super::claims;
    use super::*;
    use std::time::Duration;
    use volet_edge::sandbox::Claim as Lock;

    fn report() -> Report {
        let lock = |about| Lock { about, says: String::new(), by: String::new(), verdict: Verdict::Enforced };
        Report {
            mode: Mode::Usual,
            version: String::new(),
            process: 7,
            kernel: String::new(),
            claims: ASPECTS.map(lock).into(),
            beyond: Vec::new(),
        }
    }

    fn agent() -> Program {
        Program { pid: 4007, own_pid: 7, started: 1000, ..Program::default() }
    }

    fn verdict(report: &Report, written: u64, agents: &[&Program]) -> claims::Verdict {
        claim(report, UNIX_EPOCH + Duration::from_secs(written), agents).verdict
    }

    #[test]
    fn a_report_is_worth_something_as_the_word_of_the_agent_that_runs() {
        assert_eq!(verdict(&report(), 1001, &[&agent()]), claims::Verdict::Held);
        assert_eq!(verdict(&report(), 1001, &[]), claims::Verdict::NotExamined);
        let other = Program { own_pid: 8, ..agent() };
        assert_eq!(verdict(&report(), 1001, &[&other]), claims::Verdict::Failed);
        // Left by an earlier process of the same number.
        assert_eq!(verdict(&report(), 900, &[&agent()]), claims::Verdict::Failed);
    }

    #[test]
    fn a_report_that_leaves_something_out_is_none() {
        let mut without = report();
        without.claims.pop();
        let mut twice = report();
        twice.claims.push(twice.claims[0].clone());
        let mut loose = report();
        loose.claims[3].verdict = Verdict::NotEnforced { why: String::new() };
        let none = Report { claims: Vec::new(), ..report() };
        let off = Report { mode: Mode::Off, ..report() };
        for report in [without, twice, loose, none, off] {
            assert_eq!(verdict(&report, 1001, &[&agent()]), claims::Verdict::Failed, "{report:?}");
            assert_eq!(verdict(&report, 1001, &[]), claims::Verdict::Failed);
        }
    }
}
