//! What a demonstration consists of: folders, keys, lessons, processes. The processes end with this one, however it
//! ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use rayon::prelude::*;
use volet_edge::agent::{Epsilons, PolicyFile, Status, make_owner, status};
use volet_edge::models::{Model, builtin};
use volet_federated::NoiseMultiplier;
use volet_federated::accounting::{Delta, Epsilon, Rounds, zcdp};
use volet_federated::aggregator::{Book, Config, DELTA, Evaluate, Setup};
use volet_synthetic::{Dataset, seed_of, still};

use super::lessons::{Held, Shelf, limits};
use crate::cli::DemoArgs;

/// The epsilon of all rounds together.
const EPSILON: f64 = 8.0;
/// What one update may move the model by: some times what a few pictures teach.
const CLIP: f64 = 0.1;
/// Pictures that models are evaluated on before they are released, and their size.
const PICTURES: u64 = 10;
const SIZE: (u32, u32) = (320, 192);

pub(super) struct Stage {
    folder: PathBuf,
    pub(super) book: Book,
    pub(super) address: String,
    dashboard: SocketAddr,
    pub(super) noise: f64,
    names: Vec<String>,
    children: Children,
}

impl Stage {
    /// Sets everything up in a new or empty folder; nothing runs yet.
    pub(super) fn set(folder: &Path, args: &DemoArgs, stop: &AtomicBool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder:?}"))?;
        let empty = std::fs::read_dir(folder).with_context(|| format!("cannot read {folder:?}"))?.next().is_none();
        anyhow::ensure!(empty, "{folder:?} is not empty; choose a new folder");
        let parameters = u32::try_from(builtin::default_model().map_err(anyhow::Error::from).and_then(parameters)?)?;
        let noise = noise(args.rounds)?;
        let aggregator = folder.join("aggregator");
        let (_, model) = builtin::default_files();
        // Pictures that no camera has.
        let held_out = folder.join("evaluation-pictures");
        pictures(&held_out)?;
        let (config, dashboard) = config(args, parameters, noise, &held_out)?;
        let camera = Setup::create(&aggregator, &config, "volet-1", model)?;
        std::fs::write(folder.join("camera.toml"), toml::to_string(&camera)?)?;
        let policy = PolicyFile {
            delta: DELTA,
            epsilon: Epsilons { round: EPSILON, day: EPSILON, lineage: EPSILON, lifetime: EPSILON },
            largest_clip: CLIP,
            smallest_cohort: minimum(args.cameras),
            ..PolicyFile::default()
        };
        std::fs::write(folder.join("policy.toml"), toml::to_string(&policy)?)?;
        make_owner(&folder.join("owner.key"))?;
        let names: Vec<String> = (1..=args.cameras).map(|n| format!("camera-{n}")).collect();
        (0..).zip(&names).collect::<Vec<(u64, _)>>().into_par_iter().try_for_each(|(n, name)| {
            let media = folder.join(format!("{name}-media"));
            Shelf::of(folder, name).fill(n, &media, stop).with_context(|| name.clone())
        })?;
        let limits = toml::Table::from_iter([("learning".to_owned(), toml::Value::try_from(limits())?)]);
        std::fs::write(folder.join("learning.toml"), toml::to_string(&limits)?)?;
        let book = super::open(&aggregator)?.book;
        let (folder, address) = (folder.to_owned(), camera.aggregator);
        Ok(Self { folder, book, address, dashboard, noise, names, children: Children(Vec::new()) })
    }

    /// Starts the aggregator, enrols the cameras, starts their agents.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let aggregator = self.folder.join("aggregator");
        let mut serve = self.command("aggregator", "aggregator")?;
        serve.args(["serve", "--until-stdin-ends", "--dir"]).arg(aggregator).stdout(Stdio::piped());
        let mut line = String::new();
        let said = self.children.start("aggregator", serve)?.stdout.take().context("it has no output")?;
        let mut said = BufReader::new(said);
        said.read_line(&mut line)?;
        anyhow::ensure!(line.starts_with("listening on "), "{}", self.tail("aggregator"));
        // It may say more, and is to be heard for as long as it lives.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        for name in self.names.clone() {
            let token = self.book.token(1)?;
            let mut enrol = self.command("camera", &name)?;
            enrol.args(["enrol", "--token", &token, "--dir"]).arg(self.folder.join(&name));
            for (flag, file) in [("--camera", "camera.toml"), ("--owner-key", "owner.key"), ("--policy", "policy.toml")]
            {
                enrol.arg(flag).arg(self.folder.join(file));
            }
            let enrolled = enrol.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
            anyhow::ensure!(enrolled.success(), "{}", self.tail(&name));
        }
        for name in self.names.clone() {
            let mut agent = self.command("camera", &name)?;
            agent.args(["agent", "--until-stdin-ends", "--dir"]).arg(self.folder.join(&name));
            let Shelf { dir, identity } = Shelf::of(&self.folder, &name);
            agent.arg("--buffer").arg(dir).arg("--buffer-identity").arg(identity);
            agent.arg("--learning").arg(self.folder.join("learning.toml")).stdout(Stdio::null());
            self.children.start(&name, agent)?;
        }
        Ok(())
    }

    /// Where people can look, if the aggregator shows itself.
    pub(super) fn dashboard(&self) -> Option<String> {
        TcpStream::connect(self.dashboard).is_ok().then(|| format!("http://{}", self.dashboard))
    }

    /// Fails where a process has ended that should not have.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let ended = self.children.0.iter_mut().find_map(|(name, child)| {
            let ended = child.try_wait().ok().flatten().is_some();
            ended.then(|| name.clone())
        });
        match ended {
            // Ctrl-C reaches all processes of a terminal at once.
            Some(name) if !crate::stop::asked() => Err(anyhow::anyhow!("{}", self.tail(&name))),
            _ => Ok(()),
        }
    }

    /// What each camera says of itself.
    pub(super) fn cameras(&self) -> anyhow::Result<Vec<Status>> {
        let delta = Delta::new(DELTA)?;
        self.names.iter().map(|name| Ok(status(&self.folder.join(name), delta)?)).collect()
    }

    /// What each camera's buffer holds.
    pub(super) fn held(&self) -> anyhow::Result<Vec<Held>> {
        self.names.iter().map(|name| Shelf::of(&self.folder, name).held()).collect()
    }

    /// What so many rounds cost.
    pub(super) fn epsilon(&self, rounds: u64) -> anyhow::Result<f64> {
        if rounds == 0 {
            return Ok(0.0);
        }
        let rho = zcdp::rho(NoiseMultiplier::new(self.noise)?, Rounds::new(rounds)?)?;
        Ok(zcdp::epsilon(rho, Delta::new(DELTA)?))
    }

    /// This program, as one of its hidden parts; what it has to say goes into a log.
    fn command(&self, part: &str, log: &str) -> anyhow::Result<Command> {
        let log = self.folder.join(format!("{log}.log"));
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(part).stdin(Stdio::piped()).stderr(log);
        Ok(command)
    }

    /// A process's last words.
    fn tail(&self, name: &str) -> String {
        let log = std::fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
        format!("{name} has ended: {}", log.lines().next_back().unwrap_or("without a word"))
    }
}

/// Processes that end when this is dropped. Where this process is killed they see their standard input end.
struct Children(Vec<(String, Child)>);

impl Children {
    fn start(&mut self, name: &str, mut command: Command) -> anyhow::Result<&mut Child> {
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        self.0.push((name.to_owned(), child));
        Ok(&mut self.0.last_mut().context("it was just started")?.1)
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        // The cameras first, who would ask a dead aggregator again.
        for (_, child) in self.0.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn parameters(model: Model) -> anyhow::Result<usize> {
    Ok(model.trainable_len()?)
}

/// The least noise with which all rounds stay within the epsilon.
fn noise(rounds: u64) -> anyhow::Result<f64> {
    let rho = zcdp::largest_rho(Epsilon::new(EPSILON)?, Delta::new(DELTA)?);
    let rho = rho.trillionths() as f64 / 1e12;
    Ok((rounds as f64 / (2.0 * rho)).sqrt() * (1.0 + 1e-6))
}

/// Three quarters of the cameras.
fn minimum(cameras: u32) -> u32 {
    cameras * 3 / 4
}

/// An aggregator's configuration at a free port, for rounds that begin when all cameras are there. So few cameras can
/// bear that some vanish only if they are not too few.
fn config(args: &DemoArgs, parameters: u32, noise: f64, held_out: &Path) -> anyhow::Result<(String, SocketAddr)> {
    let mut config = Config::read(&Config::example(parameters, "localhost"))?.config;
    // Both are open until both are known.
    let free = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [listen, dashboard] = [free[0].local_addr()?, free[1].local_addr()?];
    (config.listen, config.dashboard) = (listen, Some(dashboard));
    (config.task.clip_norm, config.task.noise_multiplier) = (CLIP, noise);
    (config.task.minimum, config.task.most, config.task.rounds) = (minimum(args.cameras), args.cameras, args.rounds);
    (config.patience.gather_s, config.patience.step_s, config.patience.check_in_s) = (600, 120, 1);
    let program = [std::env::current_exe()?.as_path(), Path::new("judge"), Path::new("--pictures"), held_out]
        .map(|part| part.to_string_lossy().into_owned());
    config.evaluate = Some(Evaluate { command: program.to_vec(), within_s: 120, at_least: None });
    for dropout in [200, 100, 0] {
        config.task.dropout_per_mille = dropout;
        if config.clone().check().is_ok() {
            break;
        }
    }
    config.clone().check()?;
    Ok((toml::to_string(&config)?, dashboard))
}

/// Annotated pictures of people who do not exist, and whom no camera has seen.
fn pictures(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(folder)?;
    let mut set = Dataset::new("volet demo");
    for index in 0..PICTURES {
        let (seed, name) = (seed_of(999, index), format!("{index:06}.png"));
        let made = still(seed, SIZE.0, SIZE.1);
        made.image.save(folder.join(&name))?;
        set.add(name, SIZE, seed, None, made.light, &made.objects);
    }
    Ok(std::fs::write(folder.join("annotations.json"), serde_json::to_vec(&set)?)?)
}
