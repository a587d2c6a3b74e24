//! `index.html`: one page that needs nothing else, no network and no script.
//!
//! Knows outcomes and settings; names in them may be hostile and only ever become text.

mod charts;
mod words;

use maud::{Markup, html};
use volet_edge::report::grouped;
use volet_federated::simulation::Spread;

use super::numbers::Target;
use super::outcome::Outcome;
use super::seeds::OverSeeds;
use super::settings::{Choices, SettingsError};
use crate::page::plot::short;
use crate::page::{STYLE, document, recoloured};

/// The page of these runs. `choices` are what they were made of.
///
/// # Errors
/// A picture cannot be drawn, or the settings cannot be written down.
pub(super) fn page(choices: &Choices, outcomes: &[Outcome]) -> anyhow::Result<String> {
    let charts = charts::all(outcomes)?;
    let (settings, command) = (settings(choices)?, words::command(choices)?);
    let over = OverSeeds::of(outcomes);
    let header = html! {
        h1 { "A simulated fleet" }
        p.headline { (headline(outcomes)) }
    };
    let main = html! {
        (tiles(outcomes))
        (failures(outcomes))
        @for chart in &charts { (chart) }
        section.wide aria-labelledby="runs" { h2 #runs { "Runs" } (runs(outcomes)) }
        (seeds(&over))
        section.wide aria-labelledby="words" { h2 #words { "What the numbers mean" } (words::meanings(outcomes, !over.is_empty())) }
        section.wide aria-labelledby="settings" { h2 #settings { "Settings" } (settings) }
        section.wide aria-labelledby="again" {
            h2 #again { "Run it again" }
            pre { (command) }
            p.quiet { "The same settings and seed give the same numbers. " a href="settings.toml" { "settings.toml" }
                " holds every setting, as " code { "--config" } " takes them; " a href="rounds.csv" { "rounds.csv" } " (the same as "
                a href="rounds.parquet" { "rounds.parquet" } ") has a line for each round, " a href="sites.csv" { "sites.csv" }
                " one for each site that was held out." }
        }
    };
    Ok(document("Volet: a simulated fleet", &[STYLE, &recoloured()], &header, &main))
}

fn headline(outcomes: &[Outcome]) -> String {
    let Some(first) = outcomes.first() else { return "There were no runs.".to_owned() };
    let settings = &first.run.settings;
    if let [only] = outcomes {
        let cost = only.epsilon().map_or_else(|| "without noise".to_owned(), |e| format!("at epsilon {}", short(e)));
        let (before, after) = (short(only.before.value), short(only.after.value));
        let verb = if only.gain() > 0.0 { "rises" } else { "goes" };
        let sites = grouped(settings.sites.get().into());
        return format!(
            "{sites} sites learn in {} rounds {cost}: quality {verb} from {before} to {after}.",
            settings.rounds.get()
        );
    }
    let before = range(outcomes.iter().map(|outcome| outcome.before.value));
    let after = range(outcomes.iter().map(|outcome| outcome.after.value));
    format!("{} runs: quality goes from {before} to {after}.", outcomes.len())
}

/// One value, or the least and the largest of several.
fn range(values: impl Iterator<Item = f64> + Clone) -> String {
    let (low, high) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max));
    let (low, high) = (short(low), short(high));
    if low == high { low } else { format!("between {low} and {high}") }
}

fn tiles(outcomes: &[Outcome]) -> Markup {
    let tile = |name: &str, value: String| html! { div { dt { (name) } dd { (value) } } };
    let best = outcomes.iter().max_by(|a, b| a.after.value.total_cmp(&b.after.value));
    html! {
        dl.tiles {
            @if let [only] = outcomes {
                (tile("quality before", short(only.before.value)))
                (tile("quality after", short(only.after.value)))
                (tile("gain", signed(only.gain())))
                (tile("epsilon", cost(only)))
                @if let Some(spread) = only.after.spread() { (tile("worst-off sites (p5)", short(spread.p5))) }
            } @else if let Some(best) = best {
                (tile("runs", outcomes.len().to_string()))
                (tile("quality before", short(best.before.value)))
                (tile("best quality after", short(best.after.value)))
                (tile("its epsilon", cost(best)))
                @if let Some((epsilon, kept)) = keeper(outcomes) {
                    (tile(&format!("gain kept at epsilon {epsilon}"), format!("{:.0} %", 100.0 * kept)))
                }
            }
        }
    }
}

/// Rounds that taught nothing.
fn failures(outcomes: &[Outcome]) -> Markup {
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| Some((outcome, outcome.failed()?))).collect();
    html! {
        @if !failed.is_empty() {
            section.wide.warning {
                h2 { "Rounds that taught nothing" }
                p { "Sites had sent their updates all the same, so that these rounds cost their epsilon." }
                ul { @for (outcome, (rounds, why)) in failed { li { (outcome.run.to_string()) ": " (rounds) " of " (outcome.rounds.len()) ". " (why) "." } } }
            }
        }
    }
}

/// Of the runs with noise the one that keeps most of the gain: its epsilon, and the share.
fn keeper(outcomes: &[Outcome]) -> Option<(String, f64)> {
    let noisy = outcomes.iter().filter(|outcome| outcome.run.settings.epsilon != Target::None);
    let kept = noisy.filter_map(|outcome| Some((outcome.run.settings.epsilon.to_string(), outcome.kept(outcomes)?)));
    kept.max_by(|a, b| a.1.total_cmp(&b.1))
}

fn runs(outcomes: &[Outcome]) -> Markup {
    let poisoned = outcomes.iter().any(|o| o.run.settings.malicious.get() > 0.0 && o.after.blind_spot.is_some());
    let compared = keeper(outcomes).is_some();
    let spread = |outcome: &Outcome, of: fn(Spread) -> f64| {
        outcome.after.spread().map_or_else(|| "-".to_owned(), |s| short(of(s)))
    };
    html! {
        div.scroll { table.runs {
            thead { tr {
                th { "run" } th { "before" } th { "after" } th { "gain" }
                @if compared { th { "gain kept" } }
                th { "epsilon" } th { "p5" } th { "p50" } th { "p95" }
                @if poisoned { th { "blind spot" } }
            } }
            tbody { @for outcome in outcomes { tr {
                td { (outcome.run.to_string()) }
                td { (short(outcome.before.value)) }
                td { (short(outcome.after.value)) }
                td { (signed(outcome.gain())) }
                @if compared { td { (outcome.kept(outcomes).map_or_else(|| "-".to_owned(), |kept| format!("{:.0} %", 100.0 * kept))) } }
                td { (cost(outcome)) }
                td { (spread(outcome, |s| s.p5)) } td { (spread(outcome, |s| s.p50)) } td { (spread(outcome, |s| s.p95)) }
                @if poisoned { td { (outcome.after.blind_spot.map_or_else(|| "-".to_owned(), short)) } }
            } } }
        } }
    }
}

/// The gain over several seeds, where there are such runs.
fn seeds(over: &[OverSeeds]) -> Markup {
    html! {
        @if !over.is_empty() {
            section.wide aria-labelledby="seeds" {
                h2 #seeds { "Over seeds" }
                div.scroll { table.runs {
                    thead { tr { th { "runs" } th { "seeds" } th { "mean before" } th { "mean gain" } th { "95 % interval" } } }
                    tbody { @for all in over { tr {
                        td { (all.runs) }
                        td { (all.seeds) }
                        td { (short(all.mean_quality_before)) }
                        td { (signed(all.mean_gain)) }
                        td { (signed(all.gain_low)) " to " (signed(all.gain_high)) }
                    } } }
                } }
            }
        }
    }
}

fn settings(choices: &Choices) -> Result<Markup, SettingsError> {
    let keys = choices.table()?;
    let plain = |value: &toml::Value| match value {
        toml::Value::Array(all) => all.iter().map(words::plain).collect::<Vec<_>>().join(", "),
        value => words::plain(value),
    };
    let mut rows: Vec<(String, String)> = Vec::new();
    for (key, value) in &keys {
        match value {
            toml::Value::Table(inner) => rows.extend(inner.iter().map(|(k, v)| (format!("{key}: {k}"), plain(v)))),
            value => rows.push((key.clone(), plain(value))),
        }
    }
    Ok(html! { dl.settings { @for (key, value) in rows { div { dt { (key) } dd { (value) } } } } })
}

fn cost(outcome: &Outcome) -> String {
    outcome.epsilon().map_or_else(|| "no noise".to_owned(), short)
}

fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", short(value)) } else { short(value) }
}
