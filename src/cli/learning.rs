//! What can be typed about learning: what it costs in privacy, what a fleet would learn, and training.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What is judged, and by what.
#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// A folder of pictures and one COCO file, `annotations.json`.
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: PathBuf,
    /// What was learned: values of 4 bytes, little-endian; nothing, if not given.
    #[arg(long, value_name = "FILE", env = "VOLET_LEARNED")]
    pub(crate) learned: Option<PathBuf>,
    /// Manifest of the model that it is added to; the built-in one where not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many cameras.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(4..=64), value_name = "N")]
    pub(crate) cameras: u32,
    /// How many rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000), value_name = "N")]
    pub(crate) rounds: u64,
    /// End after the rounds.
    #[arg(long)]
    pub(crate) exit: bool,
    /// Print what it came to as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// A new or empty folder that stays; a temporary one where not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) choices: crate::simulate::Choices,
    /// Try several values, each with each: key=a,b,c, with a key of sites, rounds, cohort, clip, malicious, combine,
    /// epsilon, seed. May be repeated.
    #[arg(long, value_name = "KEY=A,B,C")]
    pub(crate) sweep: Vec<crate::simulate::Along>,
    /// Settings as a TOML file, such as the settings.toml of an earlier simulation; flags go before it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A new or empty folder for the result, or that of a simulation with the same settings, which goes on where it was.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print the summary as JSON on standard output, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PrivacyArgs {
    #[command(subcommand)]
    pub(crate) command: PrivacyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PrivacyCommand {
    /// Say what rounds with a given noise cost, by every accountant.
    Account(AccountArgs),
    /// Find the noise that a target needs, and say what can be learned through it.
    Plan(PlanArgs),
    /// Show what a device's ledger has spent, on what, and what is left.
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// What is done in each round: noise on everybody's sum, or on that of a Poisson sample.
    #[arg(long, value_name = "WHAT")]
    pub(crate) mechanism: MechanismKind,
    /// The noise multiplier z: the noise's standard deviation over the largest norm of one site's part.
    #[arg(long, value_name = "Z")]
    pub(crate) noise: f64,
    /// In how many rounds a site takes part.
    #[arg(long, value_name = "T")]
    pub(crate) rounds: u64,
    /// The probability with which epsilon may not hold.
    #[arg(long, default_value_t = 1e-6, value_name = "D")]
    pub(crate) delta: f64,
    /// The probability with which a site takes part in a round, with poisson-gaussian.
    #[arg(long, required_if_eq("mechanism", "poisson-gaussian"), value_name = "Q")]
    pub(crate) sampling: Option<f64>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MechanismKind {
    /// Noise on the sum of all sites.
    Gaussian,
    /// Noise on the sum of a random sample that nobody sees.
    PoissonGaussian,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The ledger's folder, or the file `ledger` in it. It is only read, also while the device uses it.
    #[arg(value_name = "LEDGER")]
    pub(crate) ledger: PathBuf,
    /// The delta at which rho is also stated as epsilon.
    #[arg(long, default_value_t = 1e-6, value_name = "D")]
    pub(crate) delta: f64,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// How many sites take part over time.
    #[arg(long, value_name = "N")]
    pub(crate) sites: u64,
    /// How many parameters learn.
    #[arg(long, value_name = "D")]
    pub(crate) parameters: u64,
    /// The epsilon of all rounds together.
    #[arg(long, default_value_t = 4.0, value_name = "E")]
    pub(crate) epsilon: f64,
    /// The probability with which epsilon may not hold.
    #[arg(long, default_value_t = 1e-6, value_name = "D")]
    pub(crate) delta: f64,
    /// In how many rounds a site takes part.
    #[arg(long, default_value_t = 12, value_name = "T")]
    pub(crate) rounds: u64,
    /// How many sites take part in a round; all, or as many as a sum may have, where not given.
    #[arg(long, value_name = "N")]
    pub(crate) cohort: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw epsilon over rounds and the expected gain by number of sites.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
}

#[cfg(feature = "train")]
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The recipe (TOML).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder for checkpoints, curves and the model.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Folder of the CC0 human mesh (docs/detector.md tells where to get it); without it all bodies are made by code.
    #[arg(long, value_name = "DIR")]
    pub(crate) bodies: Option<PathBuf>,
    /// What computes: cpu; with the features of those names also cuda and wgpu.
    #[arg(long, default_value = "cpu", value_parser = compute, value_name = "WHAT")]
    pub(crate) compute: volet_models::train::Compute,
    /// Go on from the last checkpoint.
    #[arg(long)]
    pub(crate) resume: bool,
    /// With --resume: go on although the pictures are no longer those the run began with.
    #[arg(long)]
    pub(crate) other_pictures: bool,
}

#[cfg(feature = "train")]
fn compute(word: &str) -> Result<volet_models::train::Compute, String> {
    let all = volet_models::train::Compute::ALL;
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let found = all.iter().find(|(name, _)| *name == word).map(|(_, compute)| *compute);
    found.ok_or_else(|| format!("this build has {}; build with --features cuda or wgpu for more", names.join(", ")))
}
