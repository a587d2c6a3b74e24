//! `volet privacy explain`: what a device's ledger says, without its secret.

use std::process::ExitCode;

use serde::Serialize;
use volet_federated::Rho;
use volet_federated::accounting::{Delta, zcdp};
use volet_federated::budget::{Account, RoundState, Statement, Trust, explain_unverified};

use crate::cli::ExplainArgs;

#[derive(Serialize)]
struct Report {
    verified: bool,
    unread_bytes: usize,
    device: String,
    owner: String,
    policy_version: u64,
    least_cohort: u32,
    last_day: String,
    delta: f64,
    lifetime: Line,
    lineages: Vec<Line>,
    days: Vec<Line>,
    rounds: Vec<Round>,
}

/// A limit and what became of it. Rho as exact decimal text, epsilon at the report's delta.
#[derive(Serialize)]
struct Line {
    of: String,
    limit: String,
    spent: String,
    left: String,
    spent_epsilon: f64,
    limit_epsilon: f64,
}

#[derive(Serialize)]
struct Round {
    task: String,
    number: u64,
    lineage: String,
    day: String,
    cost: String,
    noise_multiplier: f64,
    clip_norm: f64,
    least_cohort: u32,
    state: &'static str,
    payload_bytes: Option<u64>,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let delta = Delta::new(args.delta)?;
    let folder = match args.ledger.parent() {
        Some(parent) if args.ledger.is_file() => parent,
        _ => &args.ledger,
    };
    let report = report(&explain_unverified(folder)?, delta, args.delta);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn report(statement: &Statement, at: Delta, delta: f64) -> Report {
    let line = |of: String, account: &Account| Line {
        of,
        limit: account.limit.to_string(),
        spent: account.spent.to_string(),
        left: account.left.to_string(),
        spent_epsilon: epsilon(account.spent, at),
        limit_epsilon: epsilon(account.limit, at),
    };
    let round = |round: &volet_federated::budget::RoundStatement| Round {
        task: round.terms.round.task().to_string(),
        number: round.terms.round.number(),
        lineage: round.terms.lineage.to_string(),
        day: round.day.to_string(),
        cost: round.terms.cost.to_string(),
        noise_multiplier: round.terms.noise.get(),
        clip_norm: round.terms.clip.get(),
        least_cohort: round.terms.cohort.get(),
        state: match round.state {
            RoundState::Reserved => "spent, nothing has left",
            RoundState::Sealed(_) => "may have left",
            RoundState::Forgotten(Some(_)) => "over, may have left",
            RoundState::Forgotten(None) => "over, nothing has left",
        },
        payload_bytes: round.state.payload().map(|payload| payload.length),
    };
    let (verified, unread_bytes) = match statement.trust {
        Trust::Verified(_) => (true, 0),
        Trust::Unverified { unread } => (false, unread),
    };
    let hex = |bytes: [u8; 32]| volet_federated::SiteId::from_bytes(bytes).to_string();
    Report {
        verified,
        unread_bytes,
        device: hex(statement.device),
        owner: hex(statement.owner),
        policy_version: statement.policy.version,
        least_cohort: statement.policy.demands.minimum.get(),
        last_day: statement.policy.last_day.to_string(),
        delta,
        lifetime: line("lifetime".to_owned(), &statement.lifetime),
        lineages: statement.lineages.iter().map(|(lineage, account)| line(lineage.to_string(), account)).collect(),
        days: statement.days.iter().map(|(day, account)| line(day.to_string(), account)).collect(),
        rounds: statement.rounds.iter().map(round).collect(),
    }
}

fn epsilon(rho: Rho, delta: Delta) -> f64 {
    if rho == Rho::ZERO { 0.0 } else { zcdp::epsilon(rho, delta) }
}

fn print(r: &Report) {
    println!("device   {}", r.device);
    println!("owner    {}", r.owner);
    println!("policy   version {}, cohorts of at least {}, until {}\n", r.policy_version, r.least_cohort, r.last_day);
    println!("spent, in rho and as epsilon at delta {:e}", r.delta);
    println!("{:<24} {:>14} {:>14} {:>14} {:>9}", "", "limit", "spent", "left", "epsilon");
    for line in [&r.lifetime].into_iter().chain(&r.lineages).chain(&r.days) {
        let of = line.of.get(..24).unwrap_or(&line.of);
        println!("{of:<24} {:>14} {:>14} {:>14} {:>9.3}", line.limit, line.spent, line.left, line.spent_epsilon);
    }
    println!("\nrounds: {}", r.rounds.len());
    for round in &r.rounds {
        println!(
            "{}  {}/{}  rho {} (z {}, clip norm {}, at least {} sites): {}",
            round.day,
            round.task.get(..8).unwrap_or(&round.task),
            round.number,
            round.cost,
            round.noise_multiplier,
            round.clip_norm,
            round.least_cohort,
            round.state
        );
    }
    if !r.verified {
        println!(
            "\nRead without the device's secret: the owner's signatures were checked, that the device wrote this was not."
        );
    }
    if r.unread_bytes > 0 {
        println!("{} bytes at the end could not be read: a power cut, or damage.", r.unread_bytes);
    }
}
