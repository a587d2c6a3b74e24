//! `volet privacy`: what rounds cost, and what a target needs. All figures come from `volet_federated::accounting`.

mod explain;

use std::process::ExitCode;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Serialize;
use volet_federated::accounting::plan::{Gain, Goal, Plan};
use volet_federated::accounting::{self, Account, Delta, Epsilon, Mechanism, Rounds, SamplingRate};
use volet_federated::{CohortSize, NoiseMultiplier};

use crate::cli::{AccountArgs, MechanismKind, PlanArgs, PrivacyArgs, PrivacyCommand};

pub(crate) fn run(args: &PrivacyArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        PrivacyCommand::Account(args) => account(args),
        PrivacyCommand::Plan(args) => plan(args),
        PrivacyCommand::Explain(args) => explain::run(args),
    }
}

#[derive(Serialize)]
struct AccountReport {
    zcdp: Option<f64>,
    gdp: Option<f64>,
    rdp: f64,
    pld: f64,
}

fn account(args: &AccountArgs) -> anyhow::Result<ExitCode> {
    let noise = NoiseMultiplier::new(args.noise)?;
    let mechanism = match (args.mechanism, args.sampling) {
        (MechanismKind::Gaussian, None) => Mechanism::gaussian(noise)?,
        (MechanismKind::Gaussian, Some(_)) => {
            anyhow::bail!("--sampling is for --mechanism poisson-gaussian; without sampling leave it out")
        }
        (MechanismKind::PoissonGaussian, Some(rate)) => Mechanism::poisson_gaussian(noise, SamplingRate::new(rate)?)?,
        (MechanismKind::PoissonGaussian, None) => anyhow::bail!("--mechanism poisson-gaussian needs --sampling"),
    };
    let got = accounting::account(mechanism, Rounds::new(args.rounds)?, Delta::new(args.delta)?);
    if args.json {
        let Account { zcdp, gdp, rdp, pld } = got;
        println!("{}", serde_json::to_string_pretty(&AccountReport { zcdp, gdp, rdp, pld })?);
    } else {
        print_account(args, &got);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_account(args: &AccountArgs, got: &Account) {
    let sampling = args.sampling.map_or_else(String::new, |q| format!(", sampled with probability {q}"));
    println!("{} rounds with noise {}{sampling}, delta {:e}\n", args.rounds, args.noise, args.delta);
    println!("accountant     epsilon");
    let row = |name: &str, epsilon: Option<f64>, what: &str| match epsilon {
        Some(epsilon) => println!("{name:<11} {epsilon:>10.4}   {what}"),
        None => println!("{name:<11} {:>10}   {what}", "-"),
    };
    let sampled = got.zcdp.is_none();
    let no_sampling = "does not know sampling";
    row("zCDP", got.zcdp, if sampled { no_sampling } else { "what a site's ledger counts" });
    row("GDP", got.gdp, if sampled { no_sampling } else { "exact for the continuous Gaussian" });
    row("RDP", Some(got.rdp), "what if");
    row("PLD", Some(got.pld), "what if");
    if sampled {
        println!("\nThe ledger claims nothing from sampling, as the aggregator sees who takes part.");
    }
}

#[derive(Serialize)]
struct PlanReport {
    sites: u64,
    cohort: u32,
    parameters: u64,
    epsilon: f64,
    delta: f64,
    rounds: u64,
    noise_multiplier: f64,
    rho_per_round: String,
    rho_total: String,
    sigma: f64,
    share_variance: f64,
    single_release_noise: f64,
    gain_low: f64,
    gain_high: f64,
    verdict: String,
    sites_needed: (u64, u64),
    largest_model: (u64, u64),
    local_noise_multiplier: f64,
    local_epsilon_zcdp: f64,
    local_epsilon_gdp: f64,
}

fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let cohort = args.cohort.map(CohortSize::new).transpose()?;
    let (epsilon, delta) = (Epsilon::new(args.epsilon)?, Delta::new(args.delta)?);
    let goal = Goal::new(args.sites, args.parameters, epsilon, delta, Rounds::new(args.rounds)?, cohort)?;
    let plan = goal.plan()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report(args, &plan))?);
    } else {
        print_plan(&report(args, &plan));
    }
    if let Some(path) = &args.plot {
        volet_edge::batch::write_whole(path, picture(&plan)?.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn report(args: &PlanArgs, plan: &Plan) -> PlanReport {
    let gain = plan.gain();
    PlanReport {
        sites: args.sites,
        cohort: plan.goal().cohort().get(),
        parameters: args.parameters,
        epsilon: args.epsilon,
        delta: args.delta,
        rounds: args.rounds,
        noise_multiplier: plan.noise.get(),
        rho_per_round: plan.rho_per_round.to_string(),
        rho_total: plan.rho_total.to_string(),
        sigma: plan.sigma(),
        share_variance: plan.share_variance(),
        single_release_noise: plan.single.get(),
        gain_low: gain.low,
        gain_high: gain.high,
        verdict: gain.verdict().to_string(),
        sites_needed: plan.sites_needed(),
        largest_model: plan.largest_model(),
        local_noise_multiplier: plan.local.noise.get(),
        local_epsilon_zcdp: plan.local.zcdp,
        local_epsilon_gdp: plan.local.gdp,
    }
}

fn print_plan(r: &PlanReport) {
    println!("{} sites, {} of them in a round, {} parameters", r.sites, r.cohort, r.parameters);
    println!("epsilon {} and delta {:e} for a site over {} rounds\n", r.epsilon, r.delta, r.rounds);
    println!("noise multiplier z    {:.4} in each round", r.noise_multiplier);
    println!("rho                   {} in each round, {} in all", r.rho_per_round, r.rho_total);
    println!("noise of a sum        standard deviation {:.1}, in integer steps", r.sigma);
    println!("noise of one share    variance {:.0}, in integer steps squared\n", r.share_variance);
    println!("signal over noise S   {:.3} to {:.3}", r.gain_low, r.gain_high);
    println!("verdict               {}", r.verdict);
    let ((fewest, most), (weak, strong)) = (r.sites_needed, r.largest_model);
    println!("for S of 1            {fewest} to {most} sites, with as large a share of them in a round");
    println!("or, with these sites  {weak} to {strong} parameters\n");
    println!("One site's update alone, if secure aggregation were broken, over all rounds:");
    println!("epsilon               {:.1} by zCDP, {:.1} by GDP", r.local_epsilon_zcdp, r.local_epsilon_gdp);
}

/// Epsilon over rounds on the left, S by number of sites on the right.
fn picture(plan: &Plan) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (1100, 480)).into_drawing_area();
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(550);
        draw_epsilon(&left, plan)?;
        draw_gain(&right, plan)?;
        area.present()?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const COLOURS: [RGBColor; 5] = [
    RGBColor(214, 39, 40),
    RGBColor(255, 127, 14),
    RGBColor(31, 119, 180),
    RGBColor(44, 160, 44),
    RGBColor(110, 110, 110),
];

fn draw_epsilon<'a>(area: &Area<'a>, plan: &Plan) -> anyhow::Result<()> {
    let curves =
        [0.5, 0.75, 1.0, 1.5, 2.0].map(|times| Ok::<_, anyhow::Error>((times, plan.epsilon_by_rounds(times)?)));
    let curves = curves.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let rounds = curves.iter().flat_map(|(_, c)| c).map(|p| p.0).max().unwrap_or(1);
    // Twice the plan's own end: curves with less noise leave the picture.
    let most = 2.0 * plan.epsilon().max(1e-9);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..f64::from(rounds), 0.0..most)?;
    chart.configure_mesh().light_line_style(WHITE).x_desc("rounds").y_desc("epsilon of a site, by zCDP").draw()?;
    for ((times, curve), colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let points = curve.iter().map(|(n, epsilon)| (f64::from(*n), *epsilon)).take_while(|p| p.1 <= most);
        let label = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        let name = format!("z = {:.3}", times * plan.noise.get());
        label.label(name).legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    legend(&mut chart)
}

fn legend<'a, C: CoordTranslate>(chart: &mut ChartContext<'a, SVGBackend<'a>, C>) -> anyhow::Result<()> {
    let labels = &mut chart.configure_series_labels();
    labels.position(SeriesLabelPosition::LowerRight).background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    Ok(())
}

/// One end of a gain.
type Signal = fn(&Gain) -> f64;

fn draw_gain<'a>(area: &Area<'a>, plan: &Plan) -> anyhow::Result<()> {
    let curve = plan.gain_by_sites();
    let (first, last) = curve.first().zip(curve.last()).context("no numbers of sites to draw")?;
    let (sites, gains) = (first.0 as f64..last.0 as f64, first.1.low..last.1.high);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(sites.clone().log_scale(), gains.clone().log_scale())?;
    chart.configure_mesh().light_line_style(WHITE).x_desc("sites").y_desc("signal over noise S").draw()?;
    let kinds: [(&str, Signal); 2] = [("updates agree little", |g| g.low), ("updates agree well", |g| g.high)];
    for ((name, of), colour) in kinds.into_iter().zip(COLOURS.iter().skip(2)) {
        let points = curve.iter().map(|(n, gain)| (*n as f64, of(gain)));
        let label = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        label.label(name).legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    for (level, words) in [(1.0, "about 90 % of the gain"), (0.3, "about half"), (0.1, "little below")] {
        if gains.contains(&level) {
            chart.draw_series(LineSeries::new([(sites.start, level), (sites.end, level)], BLACK.mix(0.4)))?;
            let text = Text::new(words, (sites.start, level), ("sans-serif", 12));
            chart.draw_series(std::iter::once(text))?;
        }
    }
    let here = plan.goal().sites() as f64;
    chart.draw_series(LineSeries::new([(here, gains.start), (here, gains.end)], BLACK.mix(0.4)))?;
    legend(&mut chart)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(sites: u64, rounds: u64) -> Plan {
        let (epsilon, delta) = (Epsilon::new(4.0).unwrap(), Delta::new(1e-6).unwrap());
        Goal::new(sites, 20_000, epsilon, delta, Rounds::new(rounds).unwrap(), None).unwrap().plan().unwrap()
    }

    #[test]
    fn plans_are_drawn_small_and_large() {
        for (sites, rounds) in [(2, 1), (1000, 12), (1_000_000_000, 1_000_000)] {
            let svg = picture(&plan(sites, rounds)).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("signal over noise S"), "{svg}");
        }
    }
}
