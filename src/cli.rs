//! What can be typed: every flag, declared once.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use volet_edge::annotate::Format;
use volet_edge::models::ObjectClass;

/// Covers every face before a frame may leave, and writes the annotations itself.
///
/// Without a command: makes a short synthetic clip, redacts and annotates it, and leaves the result in a new folder.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Redact and annotate pictures, videos, cameras.
    Redact(Box<RedactArgs>),
    /// Find faces in the pictures of a COCO file and write COCO results.
    Detect(DetectArgs),
    /// Say how good results are: precision, recall, recall by size and by every attribute of the truth.
    Score(ScoreArgs),
    /// Render pictures and clips of people who do not exist, with their truth.
    Synth(SynthArgs),
    /// List, check and add detectors.
    Models(ModelsArgs),
    /// Say what learning from many sites costs in privacy, and plan for it.
    Privacy(PrivacyArgs),
    /// Show and verify what a device wrote down of all that left it.
    #[cfg(unix)]
    Ledger(LedgerArgs),
    /// Sign programs that cameras take in place of the one they came with.
    #[cfg(target_os = "linux")]
    Program(ProgramArgs),
    /// Say what a fleet would learn before it is rolled out: many sites in one process, with noise, dropouts and attackers.
    #[cfg(unix)]
    Simulate(Box<SimulateArgs>),
    /// Learn together: an aggregator and some cameras as processes on this machine, with synthetic pictures.
    #[cfg(unix)]
    Demo(DemoArgs),
    /// Judge what was learned by annotated pictures, as an aggregator's `[evaluate]` does.
    #[cfg(unix)]
    Judge(JudgeArgs),
    /// Look at a camera from outside: what left it, to whom, what it may and whether all that it claims is so.
    #[cfg(target_os = "linux")]
    Audit(AuditArgs),
    /// Capture what goes over this machine's networks, for `volet audit --capture`.
    #[cfg(target_os = "linux")]
    Capture(CaptureArgs),
    /// Measure speed, memory, leaks, privacy and the rest, beside other software, and say what became of every figure to reach.
    #[cfg(target_os = "linux")]
    Bench(BenchArgs),
    /// One piece of work that measures itself.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchWork(BenchWorkArgs),
    /// One hot kernel, run again and again.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchKernel(BenchKernelArgs),
    /// Starts a process and writes down what it took.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchChild(BenchChildArgs),
    /// The camera's commands, as `volet-edge` has them.
    #[command(hide = true)]
    Camera(volet_edge::cli::Cli),
    /// The aggregator's commands, as `volet-aggregator` has them.
    #[command(hide = true)]
    Aggregator(volet_federated::aggregator::command::Cli),
    /// Train a detector on synthetic people.
    #[cfg(feature = "train")]
    Train(TrainArgs),
}

/// Which detector, and how thoroughly it looks.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Manifest (TOML) of the detector, or the name of a built-in one.
    #[arg(long, value_name = "MANIFEST")]
    pub(crate) model: Option<PathBuf>,
    /// Longer side of the network's input in pixels; more finds smaller faces and takes longer.
    #[arg(long, value_name = "PIXELS")]
    pub(crate) long_side: Option<u32>,
    /// Besides the whole frame, search N x N overlapping tiles.
    #[arg(long, value_name = "N")]
    pub(crate) tiles: Option<u32>,
    /// Smallest score that counts, between 0 and 1; the manifest's where not given.
    #[arg(long, value_name = "S")]
    pub(crate) min_score: Option<f32>,
}

#[derive(Debug, Args)]
pub(crate) struct RedactArgs {
    /// Files, folders, /dev/videoN, rtsp:// addresses.
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// A new or empty folder for the result.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    /// Settings as a TOML file; flags go before it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to put over a face: solid, mosaic, blur.
    #[arg(long, value_parser = serde_word::<volet_edge::redact::Style>)]
    pub(crate) style: Option<volet_edge::redact::Style>,
    /// The outline of a mask: ellipse, rect.
    #[arg(long, value_parser = serde_word::<volet_edge::redact::Shape>)]
    pub(crate) shape: Option<volet_edge::redact::Shape>,
    /// How much larger than the found box a mask is.
    #[arg(long, value_name = "FACTOR")]
    pub(crate) scale: Option<f32>,
    /// Classes to cover, separated by commas: face, person, vehicle, animal, parcel, plate.
    #[arg(long, value_delimiter = ',', value_name = "CLASS")]
    pub(crate) cover: Vec<ObjectClass>,
    /// A zone that is always covered: left,top,width,height as shares (0 to 1) of the frame. May be repeated.
    #[arg(long = "zone", value_parser = zone, value_name = "X,Y,W,H")]
    pub(crate) zones: Vec<[f32; 4]>,
    /// Also cover whatever moves and is not known to be harmless (fixed cameras).
    #[arg(long)]
    pub(crate) paranoid: bool,
    /// Search every K-th frame; the tracker fills in between.
    #[arg(long, value_name = "K")]
    pub(crate) every: Option<u32>,
    /// Cover a frame whose search takes longer than this many milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) deadline_ms: Option<u64>,
    /// Annotation formats, separated by commas: coco, yolo, cvat, labelstudio.
    #[arg(long, value_delimiter = ',', value_name = "FORMAT")]
    pub(crate) formats: Vec<Format>,
    /// Also write what was covered to this file (JSON: image_id, bbox, shape).
    #[arg(long, value_name = "FILE")]
    pub(crate) regions: Option<PathBuf>,
    /// Name outputs after their inputs; else they are numbered.
    #[arg(long)]
    pub(crate) keep_names: bool,
    /// Searches at a time; all cores where not given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Stop each stream after N frames.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) frames: u64,
    /// Do not let the `ffmpeg` program decode what is not understood otherwise.
    #[arg(long)]
    pub(crate) no_ffmpeg: bool,
    /// Print the summary as JSON on standard output, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// COCO file that lists the pictures.
    #[arg(long, value_name = "GT.json")]
    pub(crate) coco: PathBuf,
    /// Folder of the pictures.
    #[arg(long, value_name = "DIR")]
    pub(crate) images: PathBuf,
    /// Where to write the results.
    #[arg(long, value_name = "RESULTS.json")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    /// Searches at a time; all cores where not given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// COCO file with the truth.
    #[arg(long, value_name = "GT.json")]
    pub(crate) coco: PathBuf,
    /// COCO results, as `volet detect` writes them.
    #[arg(long, value_name = "RESULTS.json")]
    pub(crate) results: PathBuf,
    /// The class to score.
    #[arg(long, default_value = "face", value_name = "CLASS")]
    pub(crate) class: ObjectClass,
    /// Least overlap (IoU) of a find with its truth.
    #[arg(long, default_value_t = 0.3, value_parser = share, value_name = "IOU")]
    pub(crate) iou: f32,
    /// False positives per picture at which recall is told.
    #[arg(long, default_value_t = 1.0, value_parser = rate, value_name = "RATE")]
    pub(crate) fppi: f32,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SynthArgs {
    /// How many stills.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100_000_000), value_name = "N")]
    pub(crate) scenes: u64,
    /// How many clips.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100_000), value_name = "N")]
    pub(crate) clips: u64,
    /// The same seed gives the same pictures.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// A new or empty folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Folder of the CC0 human mesh (docs/detector.md tells where to get it); without it all bodies are made by code.
    #[arg(long, value_name = "DIR")]
    pub(crate) bodies: Option<PathBuf>,
    /// Width and height, pixels.
    #[arg(long, default_value = "640x384", value_parser = size, value_name = "WxH")]
    pub(crate) size: (u32, u32),
    /// Frames of each clip, at 15 a second.
    #[arg(long, default_value_t = 150, value_name = "N")]
    pub(crate) clip_frames: u32,
    /// Pictures as JPEG (quality 95) instead of PNG: a fifth of the size, not the exact pixels.
    #[arg(long)]
    pub(crate) jpeg: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List built-in detectors and those in a folder.
    List {
        /// Folder with manifests.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check that detectors are what their manifests say and that they run.
    Verify {
        /// Manifests; the built-in detectors where none is given.
        #[arg(value_name = "MANIFEST")]
        manifests: Vec<PathBuf>,
    },
    /// Write a manifest for an ONNX file, beside it.
    Add {
        /// The ONNX file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// A manifest of the same kind of network to start from, or one of: yunet, centerface, ultra-light, scrfd,
        /// volet.
        #[arg(long, value_name = "MANIFEST|KIND")]
        like: String,
        /// The model's name; the file's where not given.
        #[arg(long)]
        name: Option<String>,
        /// SPDX expression of the weights' licence.
        #[arg(long)]
        licence: Option<String>,
    },
}

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

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct ProgramArgs {
    #[command(subcommand)]
    pub(crate) command: ProgramCommand,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Subcommand)]
pub(crate) enum ProgramCommand {
    /// Make the key that signs programs, and print its public half: cameras are given that one.
    Key {
        /// A new file for the secret half. Whoever has it can put any program on every camera: keep it off networks.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a program.
    Sign {
        /// The program: `volet-edge`, as it was built for the cameras' processor.
        #[arg(value_name = "PROGRAM")]
        program: PathBuf,
        /// The secret half of the key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The release's number, greater than that of every one before; cameras take no smaller one.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        number: u64,
        /// The release's name, for people.
        #[arg(long, value_name = "TEXT")]
        version: String,
        /// The new file for what is signed. It goes with the program.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

/// Which ledger, and whose.
#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct LedgerSource {
    /// The ledger's folder, which is only read, also while the device uses it; or an exported file.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The device's public key, 64 hexadecimal digits. Without it the ledger's own word is taken.
    #[arg(long, value_parser = crate::ledger::key, value_name = "HEX")]
    pub(crate) key: Option<volet_federated::signing::VerifyingKey>,
}

#[cfg(unix)]
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Say what holds and what does not; the exit code is 1 if anything does not.
    Verify {
        #[command(flatten)]
        source: LedgerSource,
        /// A head that was signed before, to compare with: the ledger's second place, its head.json, or a proof.
        #[arg(long, value_name = "PATH")]
        anchor: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show records, or sums by kind and destination.
    Show(LedgerShowArgs),
    /// Write a ledger that holds to a file of JSON lines, whole or not at all; it can be verified again elsewhere.
    Export {
        #[command(flatten)]
        source: LedgerSource,
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Prove that one record is in the ledger, without showing the others.
    Prove {
        #[command(flatten)]
        source: LedgerSource,
        /// The record's number.
        #[arg(value_name = "NUMBER")]
        number: u64,
        /// Where to write the proof (JSON).
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check a proof, without the ledger.
    Check {
        /// The proof.
        #[arg(value_name = "FILE")]
        proof: PathBuf,
        /// The device's public key, 64 hexadecimal digits.
        #[arg(long, value_parser = crate::ledger::key, value_name = "HEX")]
        key: volet_federated::signing::VerifyingKey,
        /// Print the record as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct LedgerShowArgs {
    #[command(flatten)]
    pub(crate) source: LedgerSource,
    /// Only records from this time on, by the device's clock: 2026-11-23T14:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Only records of this kind, such as wire, update, media, refused.
    #[arg(long, value_parser = serde_word::<volet_edge::egress::ledger::Kind>, value_name = "KIND")]
    pub(crate) kind: Option<volet_edge::egress::ledger::Kind>,
    /// Print JSON: a line for each record, or a list of sums.
    #[arg(long)]
    pub(crate) json: bool,
    /// Sums by kind and destination instead of records.
    #[arg(long)]
    pub(crate) sums: bool,
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

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The camera's state folder.
    #[arg(long, default_value = "/var/lib/volet-camera/agent", value_name = "STATE")]
    pub(crate) state: PathBuf,
    /// Watch this machine's networks for so many seconds, and hold what it sends against the ledger; takes root.
    #[arg(long, value_name = "SECONDS", conflicts_with = "capture")]
    pub(crate) live: Option<u64>,
    /// A capture (pcap) that was made before, here or on the camera's network.
    #[arg(long, value_name = "FILE")]
    pub(crate) capture: Option<PathBuf>,
    /// The camera's network cards, as 02:00:00:00:00:01; all that the machine sent that captured, where none is given.
    #[arg(long = "card", value_name = "ADDRESS")]
    pub(crate) cards: Vec<String>,
    /// The folder in which the camera puts files for others.
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    /// The camera's program: its SHA-256, as its maker or a build of your own says it is, or that build's file.
    #[arg(long, value_name = "HASH|FILE")]
    pub(crate) expect: Option<crate::audit::Expected>,
    /// A later head of the agent's ledger, in place of the one in its second place (docs/egress-ledger.md).
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// The end of a ledger as an earlier audit printed it: it has to be in it still.
    #[arg(long = "head", value_name = "NUMBER:HASH")]
    pub(crate) heads: Vec<crate::audit::End>,
    /// Leave the trial of the redaction out, which takes some seconds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Exit with 0 although claims were not examined, where none failed.
    #[arg(long)]
    pub(crate) allow_unexamined: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a page for people, signed by the camera.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the bill of materials of this program, which is not the camera's (CycloneDX, JSON).
    #[arg(long, value_name = "FILE")]
    pub(crate) sbom: Option<PathBuf>,
    /// Look at no camera: check the signature of a page that an audit wrote, and say what is signed on it.
    #[arg(
        long,
        value_name = "PAGE",
        conflicts_with_all = ["live", "capture", "cards", "files", "expect", "anchor", "heads", "quick", "json", "html", "sbom"]
    )]
    pub(crate) check: Option<PathBuf>,
    /// With --check: the camera's key, as `volet-edge status` prints it.
    #[arg(long, value_name = "CAMERA", requires = "check", value_parser = crate::ledger::key)]
    pub(crate) key: Option<volet_federated::signing::VerifyingKey>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    /// The file to write (pcap).
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// End after so long; when standard input does, where not given.
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// What to measure: camera, leak, detector, privacy, federated, egress, kernels; all where nothing is named.
    #[arg(value_name = "SUITE", conflicts_with = "from")]
    pub(crate) suites: Vec<String>,
    /// A new or empty folder for the results, the page and the Markdown.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Less of everything: some minutes on two cores.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print what it came to as JSON on standard output, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
    /// The same seed gives the same pictures, clips and fleets.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=1 << 53), value_name = "N")]
    pub(crate) seed: u64,
    /// Turns of each case that count [default: 7; 3 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) rounds: Option<u32>,
    /// The Python in which benches/peers/setup has installed other software, to take turns with.
    #[arg(long, value_name = "PYTHON")]
    pub(crate) peers: Option<PathBuf>,
    /// Earlier results: say what changed beyond the noise.
    #[arg(long, value_name = "OLD.jsonl")]
    pub(crate) compare: Option<PathBuf>,
    /// With --compare: exit with 1 where something got worse.
    #[arg(long, requires = "compare")]
    pub(crate) fail_on_regression: bool,
    /// Measure nothing; show these results again.
    #[arg(long, value_name = "RESULTS.jsonl")]
    pub(crate) from: Option<PathBuf>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct BenchWorkArgs {
    /// Which.
    pub(crate) case: String,
    /// What of it.
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub(crate) params: Vec<String>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct BenchKernelArgs {
    /// Which.
    pub(crate) name: String,
    /// How often.
    pub(crate) times: u32,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct BenchChildArgs {
    /// Where to write it.
    pub(crate) report: PathBuf,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<std::ffi::OsString>,
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

/// Reads a word as the configuration file would.
pub(crate) fn serde_word<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, String> {
    let value: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        serde::de::IntoDeserializer::into_deserializer(word);
    T::deserialize(value).map_err(|e| e.to_string())
}

fn share(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|v| *v > 0.0 && *v <= 1.0)
        .ok_or_else(|| "a number above 0 and up to 1 is needed".to_owned())
}

fn rate(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|v| *v > 0.0 && *v <= 1e6).ok_or_else(|| "a number above 0 is needed".to_owned())
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |s: &str| s.trim().parse().ok().filter(|side| volet_synthetic::SIDES.contains(side));
    let both = text.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
    let (low, high) = (volet_synthetic::SIDES.start(), volet_synthetic::SIDES.end());
    both.ok_or_else(|| format!("two sides from {low} to {high} are needed, as in 640x384"))
}

fn zone(text: &str) -> Result<[f32; 4], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    let numbers = numbers.map_err(|e| format!("{e}: four numbers are needed, as in 0,0,0.25,0.5"))?;
    numbers.try_into().map_err(|_| "four numbers are needed, as in 0,0,0.25,0.5".to_owned())
}
