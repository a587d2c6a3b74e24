//! `owner`, `enrol`, `policy`, `agent`, `status`; and where `buffer` and `label` stand among them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use volet_federated::RoundId;
use volet_federated::accounting::Delta;
use volet_federated::signing::VerifyingKey;

use super::{buffer, label, runtime, stop, until_stdin_ends};
use crate::agent::{
    Agent, Device, Enrolment, Event, Judge, Learner, Learning, Lessons, Pace, Part, Pictures, PolicyFile, Runs, Status,
    StillJudge, StillLearner, Surroundings, TalentError, Talents, WhichLedger, agree, begin_ledger, certify, enrol,
    load_active, make_owner, read_owner, set_policy, status,
};
use crate::egress::Consent;
use crate::learn::buffer::{Buffer, Identity};
use crate::models::{Manifest, builtin};
use crate::sandbox::Confinement;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the owner's signing key: whoever has it says what cameras may spend.
    Owner {
        /// The new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Enrol this camera with an aggregator, once.
    Enrol(EnrolArgs),
    /// Have this camera certified anew where its certificate has ended; its key and its ledger stay.
    Certify {
        /// The camera's state folder.
        #[arg(long, value_name = "STATE")]
        dir: PathBuf,
        /// A token of the aggregator's.
        #[arg(long)]
        token: String,
    },
    /// Put another policy of the owner's in place, while the agent does not run.
    Policy {
        /// The camera's state folder.
        #[arg(long, value_name = "STATE")]
        dir: PathBuf,
        /// The owner's key: the one that the camera was enrolled with.
        #[arg(long, value_name = "FILE")]
        owner_key: PathBuf,
        /// What the owner allows from now on (docs/agent.md).
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
    },
    /// Say what the owner agrees to, or change it; it holds at once.
    Consent {
        /// The camera's state folder.
        #[arg(long, value_name = "STATE")]
        dir: PathBuf,
        /// Take part in learning, which is all that the network is for.
        #[arg(long, value_name = "on|off")]
        learning: Option<Switch>,
        /// Give redacted pictures and annotations to others (`--shared-by`).
        #[arg(long, value_name = "on|off")]
        sharing: Option<Switch>,
        /// The most that may leave over the network on one day, in 2^20 bytes; 64 if nothing was ever said.
        #[arg(long, value_name = "N")]
        megabytes_per_day: Option<u32>,
    },
    /// Begin a new ledger of what leaves, where the old one is damaged or gone. The new one says so for good, and what is left of
    /// the old one stays beside it.
    BeginLedger {
        /// The camera's state folder.
        #[arg(long, value_name = "STATE")]
        dir: PathBuf,
        /// Which of the two.
        #[arg(value_enum)]
        which: Which,
    },
    /// Take part in learning, within the owner's limits, and follow the team's models.
    Agent(AgentArgs),
    /// Say what this camera has taken part in, what it spent, and what it refused.
    Status {
        /// The camera's state folder.
        #[arg(long, value_name = "STATE")]
        dir: PathBuf,
        /// The delta at which what was spent is stated as epsilon.
        #[arg(long, default_value_t = 1e-6, value_name = "D")]
        delta: f64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The learning buffer: stills that the camera learns from, encrypted for its owner.
    #[command(subcommand)]
    Buffer(buffer::BufferCommand),
    /// Show lessons to their owner, on a page of this machine, and take corrections.
    Label(label::LabelArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Which {
    /// What went over the network; the agent writes it.
    Egress,
    /// What was given out as files; the camera writes it.
    Exports,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(super) struct EnrolArgs {
    /// The camera's state folder, to be made.
    #[arg(long, value_name = "STATE")]
    dir: PathBuf,
    /// The aggregator's camera.toml.
    #[arg(long, value_name = "FILE")]
    camera: PathBuf,
    /// The token, good for one camera.
    #[arg(long)]
    token: String,
    /// The owner's key: signs the policy, and is not kept on the camera.
    #[arg(long, value_name = "FILE")]
    owner_key: PathBuf,
    /// What the owner allows (docs/agent.md); careful defaults where not given.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Manifest of the model that the lineage starts from; the built-in one where not given.
    #[arg(long, value_name = "MANIFEST")]
    model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    /// The camera's state folder.
    #[arg(long, value_name = "STATE")]
    dir: PathBuf,
    /// End after taking part in so many rounds.
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// Folder with annotated pictures to learn from; without it the camera takes part in no round.
    #[arg(long, value_name = "DIR")]
    learn: Option<PathBuf>,
    /// Folder with annotated pictures to judge new models by; every fifth of --learn where not given.
    #[arg(long, value_name = "DIR")]
    held_out: Option<PathBuf>,
    /// Learning buffer to learn from, and to judge new models by its held-out part.
    #[arg(long, value_name = "DIR", conflicts_with = "learn", requires = "buffer_identity")]
    buffer: Option<PathBuf>,
    /// The identity of the buffer's owner.
    #[arg(long, value_name = "FILE", requires = "buffer")]
    buffer_identity: Option<PathBuf>,
    /// What learning may take of this device (docs/agent.md); careful defaults where not given.
    #[arg(long, value_name = "FILE")]
    learning: Option<PathBuf>,
    /// Take part without learning: what is sent is noise. To try out a roll-out; it costs budget as any round does.
    #[arg(long, conflicts_with_all = ["learn", "buffer"])]
    rehearse: bool,
    /// End when standard input does: for a program that starts this one.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
    #[command(flatten)]
    sandbox: super::sandbox::SandboxArgs,
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Owner { out } => {
            let key = make_owner(out)?;
            println!("{}", blake3::Hash::from_bytes(VerifyingKey::from(&key).to_bytes()));
            eprintln!("{} is made. Keep it off the cameras, and a copy of it.", out.display());
        }
        Command::Enrol(args) => enrol_camera(args)?,
        Command::Certify { dir, token } => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(certify(dir, token))?;
            println!("certified");
        }
        Command::Policy { dir, owner_key, policy } => {
            let policy = read_policy(policy)?;
            let version = set_policy(dir, &policy, &read_owner(owner_key)?)?;
            println!("version {version} holds");
        }
        Command::Consent { dir, learning, sharing, megabytes_per_day } => {
            let is_on = |switch: &Option<Switch>| switch.map(|switch| switch == Switch::On);
            println!("{}", agree(dir, is_on(learning), is_on(sharing), *megabytes_per_day)?);
        }
        Command::BeginLedger { dir, which } => {
            let which = match which {
                Which::Egress => WhichLedger::Egress,
                Which::Exports => WhichLedger::Exports,
            };
            begin_ledger(dir, which)?;
            println!("begun; the old one is kept beside it, and audits will say that there was one");
        }
        Command::Agent(args) => agent(args)?,
        Command::Buffer(command) => buffer::run(command)?,
        Command::Label(args) => label::run(args)?,
        Command::Status { dir, delta, json } => {
            let status = status(dir, Delta::new(*delta)?)?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&status)?);
            } else {
                print(&status);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn enrol_camera(args: &EnrolArgs) -> anyhow::Result<()> {
    let text = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let at = |path: &Path| format!("{}", path.display());
    let camera = toml::from_str(&text(&args.camera)?).with_context(|| at(&args.camera))?;
    let policy = match &args.policy {
        Some(path) => read_policy(path)?,
        None => PolicyFile::default(),
    };
    let owner = read_owner(&args.owner_key)?;
    let (manifest, model) = match &args.model {
        Some(path) => {
            let (_, file) = Manifest::read(path).with_context(|| at(path))?;
            (text(path)?, file)
        }
        None => {
            let (manifest, file) = builtin::default_files();
            (manifest.to_owned(), file.to_vec())
        }
    };
    let with = Enrolment {
        camera,
        token: &args.token,
        owner: &owner,
        policy,
        consent: Consent::new(true, false),
        manifest: &manifest,
        model: &model,
    };
    let identity = runtime()?.block_on(enrol(&args.dir, with))?;
    println!("{}", blake3::Hash::from_bytes(identity));
    eprintln!("enrolled; start the agent with `agent --dir {}`", args.dir.display());
    Ok(())
}

fn read_policy(path: &Path) -> anyhow::Result<PolicyFile> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    PolicyFile::read(&text).with_context(|| format!("{}", path.display()))
}

fn agent(args: &AgentArgs) -> anyhow::Result<()> {
    let begun = args.sandbox.begin()?;
    let talents = talents(args)?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let mut agent = Agent::open(&args.dir, talents, Box::new(tell))?;
        // From here on strangers are heard.
        let report = super::sandbox::confine(begun, &needs(args, agent.needs()?))?;
        agent.keep_report(&report)?;
        if args.until_stdin_ends {
            // An agent that is killed goes on where it was.
            until_stdin_ends();
        }
        eprintln!("the agent of {} is at work", args.dir.display());
        anyhow::Ok(agent.run(args.rounds, stop()).await?)
    });
    // What still learns is not waited for.
    runtime.shutdown_background();
    done
}

/// What the agent needs of folders besides its own.
fn needs(args: &AgentArgs, own: Confinement) -> Confinement {
    let pictures = args.learn.iter().chain(&args.held_out);
    let needs = pictures.fold(own, Confinement::reads);
    args.buffer.iter().fold(needs, |needs, buffer| needs.keeps(buffer))
}

fn talents(args: &AgentArgs) -> anyhow::Result<Talents> {
    let (_, model) = load_active(&args.dir).with_context(|| format!("{}", args.dir.display()))?;
    let parameters = model.trainable_len()?;
    let first = || model.learned(&vec![0.0; parameters]);
    let limits = limits(args)?;
    let pace = || Pace::new(limits.clone(), Box::new(Device::of(&args.dir)));
    let buffer = match args.buffer.as_ref().zip(args.buffer_identity.as_ref()) {
        Some((dir, identity)) => Some(Arc::new(Buffer::open(dir, Identity::read(identity, dir)?)?)),
        None => None,
    };
    // Where a folder of its own is named for judging, all of the other is learned from; a buffer's held-out part never is.
    let pictures = if args.held_out.is_some() { Part::All } else { Part::Learned };
    let learner: Option<Box<dyn Learner>> = match (&buffer, &args.learn) {
        (Some(buffer), _) => {
            let lessons = Lessons::new(buffer.clone(), Part::Learned, &limits);
            Some(Box::new(StillLearner::new(first()?, lessons, pace())))
        }
        (None, Some(folder)) => {
            Some(Box::new(StillLearner::new(first()?, Pictures::new(folder.clone(), pictures), pace())))
        }
        (None, None) if args.rehearse => Some(Box::new(Rehearsal(parameters))),
        (None, None) => None,
    };
    let judge: Box<dyn Judge> = match (&args.held_out, buffer, &args.learn) {
        (Some(folder), _, _) => Box::new(StillJudge::new(first()?, Pictures::new(folder.clone(), Part::All))),
        (None, Some(buffer), _) => Box::new(StillJudge::new(first()?, Lessons::new(buffer, Part::HeldOut, &limits))),
        (None, None, Some(folder)) => Box::new(StillJudge::new(first()?, Pictures::new(folder.clone(), Part::HeldOut))),
        (None, None, None) => Box::new(Runs::new(first()?)),
    };
    if learner.is_none() {
        eprintln!("nothing to learn from (--buffer, --learn): the camera follows releases and takes part in no round");
    }
    Ok(Talents { parameters, learner, judge })
}

/// What learning may take.
fn limits(args: &AgentArgs) -> anyhow::Result<Learning> {
    let limits = match &args.learning {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Learning::read(&text).with_context(|| format!("{}", path.display()))?
        }
        None => Learning::default(),
    };
    if args.learning.is_some() && Device::of(&args.dir).celsius().is_none() {
        eprintln!("this device has no thermometer: the limit in degrees holds nothing back");
    }
    Ok(limits)
}

/// Learns nothing.
struct Rehearsal(usize);

impl Learner for Rehearsal {
    fn update(&mut self, _: &[f32], _: RoundId) -> Result<Vec<f32>, TalentError> {
        Ok(vec![0.0; self.0])
    }
}

fn tell(event: &Event) {
    match event {
        Event::TakesPart { round, again: false } => eprintln!("takes part in round {}", round.number()),
        Event::TakesPart { round, again: true } => eprintln!("goes on with round {}", round.number()),
        Event::TookPart(round) => eprintln!("took part in round {}", round.number()),
        Event::SitsOut(round, why) => eprintln!("sits round {} out: {why}", round.number()),
        Event::Refused(_, why) => eprintln!("refused: {why}"),
        Event::Uses(release) => eprintln!("release {release} is in use"),
        Event::Silent => eprintln!("silent: the owner does not agree to learning"),
        Event::Fails(why) => eprintln!("tries again: {why}"),
    }
}

fn print(status: &Status) {
    let Status { identity, aggregator, lineage, latest_release, release, model, rounds, budget, .. } = status;
    println!("camera      {identity}\naggregator  {aggregator}\nlineage     {lineage}");
    println!("in use      release {release}, {model} (the latest is {latest_release})");
    println!("consent     {}", status.consent);
    println!("rounds      {rounds}");
    match budget {
        Some(b) => println!(
            "epsilon     {:.3} of {:.3} spent on this lineage, {:.3} on everything, at delta {:e}",
            b.spent, b.limit, b.lifetime_spent, b.delta
        ),
        None => println!("epsilon     the ledger is damaged: all counts as spent"),
    }
    match status.last_check_in {
        Some(at) => println!("last call   {}", utc(at)),
        None => println!("last call   none was answered yet"),
    }
    for used in &status.used {
        println!("used        {}  release {}: {}", utc(used.at), used.release, used.why);
    }
    for refused in &status.refusals {
        println!("refused     {}  {}", utc(refused.at), refused.why);
    }
}

fn utc(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|s| time::OffsetDateTime::from_unix_timestamp(s).ok());
    at.map_or_else(|| seconds.to_string(), |at| at.to_string())
}
