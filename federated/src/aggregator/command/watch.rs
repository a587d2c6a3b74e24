//! `watch`: what the page shows, in a terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::aggregator::Setup;
use crate::aggregator::state::{RoundState, State};

/// Shows the state every second, or once where nobody could see it change.
pub(super) fn watch(dir: &Path, once: bool) -> anyhow::Result<()> {
    let config = Setup::open(dir)?.checked.config;
    let address = config.dashboard.context("config.toml names no dashboard: there is nothing to ask")?;
    let mut out = std::io::stdout();
    let live = out.is_terminal() && !once;
    loop {
        let shown = match ask(address) {
            Ok(state) => show(&state),
            Err(error) if live => format!("{error:#}\n"),
            Err(error) => return Err(error),
        };
        if !live {
            out.write_all(shown.as_bytes())?;
            return Ok(());
        }
        // Home, each line to its end, and what is below.
        let shown = shown.replace('\n', "\x1b[K\n");
        write!(out, "\x1b[H{shown}\x1b[J")?;
        out.flush()?;
        std::thread::sleep(Duration::from_secs(1));
    }
}

pub(super) fn ask(address: std::net::SocketAddr) -> anyhow::Result<State> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
    let url = format!("http://{address}/api/state");
    let silent = || format!("nothing answers at {url}: is `volet-aggregator serve` running?");
    let text = agent.get(&url).call().with_context(silent)?.body_mut().read_to_string().with_context(silent)?;
    serde_json::from_str(&text).with_context(|| format!("what answers at {url} is no aggregator of this version"))
}

fn show(state: &State) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, state);
    text
}

fn write(to: &mut String, state: &State) -> std::fmt::Result {
    let epsilon = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"));
    let privacy = &state.privacy;
    let (spent, budget) = (epsilon(privacy.epsilon_spent), epsilon(privacy.epsilon_budget));
    writeln!(to, "volet-aggregator {}   task {}", state.version, state.task.id)?;
    writeln!(to, "epsilon {spent} of {budget} at delta {:e}, {} rounds", privacy.delta, privacy.rounds_counted)?;
    writeln!(to, "sites {} enrolled, {} struck off", state.sites.enrolled, state.sites.struck)?;
    writeln!(to)?;
    match &state.round {
        Some(round) => write_round(to, round, state.now)?,
        None => writeln!(to, "no round goes on")?,
    }
    writeln!(to, "\n{:>6} {:>6} {:>6} {:>8}  outcome", "round", "sites", "in sum", "quality")?;
    for round in state.rounds.iter().rev().take(12) {
        let number = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let quality = round.quality.map_or_else(|| "-".to_owned(), |quality| format!("{quality:.3}"));
        let outcome = round.failure.as_deref().unwrap_or("released");
        let contributors = number(round.contributors);
        writeln!(to, "{:>6} {:>6} {contributors:>6} {quality:>8}  {outcome}", round.number, round.sites)?;
    }
    writeln!(to, "\n{:>7} {:>16} {:>6}", "release", "model", "rounds")?;
    for release in state.releases.iter().rev().take(6) {
        let back = release.same_as.map_or_else(String::new, |earlier| format!("  the model of {earlier} again"));
        let model = release.model.get(..16).unwrap_or_default();
        writeln!(to, "{:>7} {model:>16} {:>6}{back}", release.number, release.rounds)?;
    }
    Ok(())
}

fn write_round(to: &mut String, round: &RoundState, now: u64) -> std::fmt::Result {
    writeln!(to, "round {}", round.number)?;
    for shard in &round.shards {
        let number = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        let left = shard.step_ends.map_or_else(String::new, |ends| match ends.saturating_sub(now) / 1000 {
            // A first shard that waits for enough sites.
            0 => "   until there are enough".to_owned(),
            seconds => format!("   {}:{:02} left", seconds / 60, seconds % 60),
        });
        let left = if shard.step.as_deref() == Some("ended") { String::new() } else { left };
        writeln!(
            to,
            "  shard {:>3}  {:<10} {:>5} sites, {} to come, {} dropped   {}{left}",
            shard.shard,
            shard.step.as_deref().unwrap_or("elsewhere"),
            number(shard.sites),
            number(shard.waiting_for),
            number(shard.dropped),
            shard.failure.as_deref().unwrap_or(&shard.replica),
        )?;
    }
    Ok(())
}
