//! An aggregator, two cameras beside it that make up the numbers, and the camera that is watched.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context;
use volet_edge::agent::make_owner;
use volet_edge::models::builtin;
use volet_federated::aggregator::{Book, Config, Setup};

use crate::networks::{AGGREGATOR, CARD, Capture, Networks, STRANGER};

const PORT: u16 = 7443;
const NAME: &str = "aggregator.example";
/// Whom the cameras run as.
const USER: &str = "65534";
/// What anything takes at most, so that a test that waits for what never comes ends.
const PATIENCE: Duration = Duration::from_secs(120);
const POLICY: &str =
    "smallest_cohort = 3\n[epsilon]\nround = 1300\nday = 100000\nlineage = 100000\nlifetime = 100000\n";

pub(crate) struct House<'a> {
    pub(crate) networks: &'a Networks,
    folder: tempfile::TempDir,
    book: Book,
    /// Programs that are there for the whole test.
    servants: Vec<Child>,
}

impl<'a> House<'a> {
    pub(crate) fn build(networks: &'a Networks) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let parameters = u32::try_from(builtin::default_model()?.trainable_len()?)?;
        let mut config = Config::read(&Config::example(parameters, NAME))?.config;
        config.listen = format!("{AGGREGATOR}:{PORT}").parse()?;
        config.dashboard = None;
        (config.task.noise_multiplier, config.task.rounds) = (0.05, 1000);
        (config.task.minimum, config.task.most, config.task.dropout_per_mille) = (3, 3, 0);
        (config.patience.gather_s, config.patience.step_s, config.patience.check_in_s) = (600, 60, 1);
        let aggregator = folder.path().join("aggregator");
        let camera = Setup::create(&aggregator, &toml::to_string(&config)?, "volet-1", builtin::default_files().1)?;
        let book = Setup::open(&aggregator)?.book;
        std::fs::write(folder.path().join("camera.toml"), toml::to_string(&camera)?)?;
        std::fs::write(folder.path().join("policy.toml"), POLICY)?;
        make_owner(&folder.path().join("owner.key"))?;
        let mut house = Self { networks, folder, book, servants: Vec::new() };
        house.resolve_to(AGGREGATOR)?;
        let this = std::env::current_exe()?;
        let mut names = networks.on_aggregator(&this);
        names.arg("names").arg(house.path("address"));
        house.serve(names, "ready")?;
        let mut stranger = networks.on_aggregator(&this);
        stranger.args(["listener", STRANGER]).arg(house.path("stranger")).arg(PORT.to_string());
        house.serve(stranger, "ready")?;
        let mut stranger = networks.on_aggregator(&this);
        stranger.args(["listener", AGGREGATOR]).arg(house.path("stranger")).arg("9999");
        house.serve(stranger, "ready")?;
        let mut serve = networks.on_aggregator(env!("CARGO_BIN_EXE_volet"));
        serve.args(["aggregator", "serve", "--until-stdin-ends", "--dir"]).arg(&aggregator);
        house.serve(serve, "listening")?;
        for name in ["other-1", "other-2"] {
            house.enrol_from(name, networks.on_aggregator(env!("CARGO_BIN_EXE_volet")))?;
            let mut agent = networks.on_aggregator(env!("CARGO_BIN_EXE_volet"));
            agent.args(["camera", "agent", "--rehearse", "--user", USER, "--dir"]).arg(house.path(name));
            agent.stderr(Stdio::null()).stdin(Stdio::null());
            house.servants.push(agent.spawn()?);
        }
        Ok(house)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the aggregator's name leads from now on.
    pub(crate) fn resolve_to(&self, address: &str) -> anyhow::Result<()> {
        let new = self.path("address.new");
        std::fs::write(&new, address)?;
        Ok(std::fs::rename(new, self.path("address"))?)
    }

    fn serve(&mut self, mut command: Command, ready: &str) -> anyhow::Result<()> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().context("it has an output")?).read_line(&mut line)?;
        self.servants.push(child);
        anyhow::ensure!(line.starts_with(ready), "{line:?} instead of {ready}");
        Ok(())
    }

    pub(crate) fn enrol(&self, name: &str) -> anyhow::Result<()> {
        self.enrol_from(name, self.networks.on_camera(env!("CARGO_BIN_EXE_volet")))
    }

    fn enrol_from(&self, name: &str, mut command: Command) -> anyhow::Result<()> {
        command.args(["camera", "enrol", "--token", &self.book.token(1)?, "--dir"]).arg(self.path(name));
        for (flag, file) in [("--camera", "camera.toml"), ("--owner-key", "owner.key"), ("--policy", "policy.toml")] {
            command.arg(flag).arg(self.path(file));
        }
        let out = command.output()?;
        anyhow::ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        // Enrolled by root, at work as nobody.
        for entry in walkdir::WalkDir::new(self.path(name)) {
            std::os::unix::fs::lchown(entry?.path(), Some(USER.parse()?), Some(USER.parse()?))?;
        }
        Ok(())
    }

    pub(crate) fn consent(&self, name: &str, what: &str, switch: &str) -> anyhow::Result<()> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet"));
        command.args(["camera", "consent", "--dir"]).arg(self.path(name)).args([what, switch]);
        let out = command.output()?;
        anyhow::ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Ok(())
    }

    /// Starts the camera's agent, with a leak planted in it or not.
    pub(crate) fn agent(&self, name: &str, leak: Option<(&str, bool)>) -> anyhow::Result<Agent> {
        let (state, out) = (self.path(name), self.path("out"));
        std::fs::create_dir_all(&out)?;
        // The leak is not held back by rights alone.
        std::fs::set_permissions(&out, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        let mut command = match leak {
            None => {
                let mut command = self.networks.on_camera(env!("CARGO_BIN_EXE_volet"));
                command.arg("camera");
                command
            }
            Some((kind, _)) => {
                let mut command = self.networks.on_camera(std::env::current_exe()?);
                command.args(["planted", kind, &PORT.to_string()]).arg(&out);
                command
            }
        };
        let sandbox = if leak.is_some_and(|(_, locked)| !locked) { "off" } else { "usual" };
        command.args(["agent", "--rehearse", "--sandbox", sandbox, "--user", USER, "--dir"]).arg(&state);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let said = BufReader::new(child.stderr.take().context("it has an error output")?);
        let (tell, heard) = channel();
        std::thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Ok(Agent { child, heard, all: Vec::new() })
    }

    /// Has the camera watch a picture, with what comes of it for others; whether it was given out.
    pub(crate) fn watch(&self, name: &str) -> anyhow::Result<bool> {
        let clip = self.path("clip");
        if !clip.exists() {
            let mut synth = Command::new(env!("CARGO_BIN_EXE_volet"));
            synth
                .args(["synth", "--clips", "1", "--clip-frames", "1", "--seed", "7", "--size", "320x192", "--out"])
                .arg(&clip);
            let out = synth.output()?;
            anyhow::ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
        let picture = walkdir::WalkDir::new(&clip).into_iter().flatten().map(walkdir::DirEntry::into_path);
        let picture = picture.into_iter().find(|path| path.extension().is_some_and(|e| e == "png"));
        let out = self.path("out");
        std::fs::remove_dir_all(&out).ok();
        std::fs::create_dir(&out)?;
        std::os::unix::fs::chown(&out, Some(USER.parse()?), Some(USER.parse()?))?;
        let mut camera = self.networks.on_camera(env!("CARGO_BIN_EXE_volet"));
        camera
            .args(["camera", "--frames", "10", "--user", USER, "--source"])
            .arg(picture.context("a picture was made")?);
        camera.arg("--out").arg(&out).arg("--shared-by").arg(self.path(name));
        let done = camera.output()?;
        print!("{}", String::from_utf8_lossy(&done.stderr));
        Ok(done.status.success() && out.join("index.html").is_file())
    }

    /// How many packets the camera sent in a capture.
    pub(crate) fn packets(&self, capture: Capture) -> anyhow::Result<u64> {
        let told = self.audit("camera", &capture.end()?, &[])?;
        told["capture"]["packets"].as_u64().context("packets are counted")
    }

    /// What an audit says of a camera, without a capture.
    pub(crate) fn look(&self, name: &str, more: &[&str]) -> anyhow::Result<serde_json::Value> {
        let mut audit = Command::new(env!("CARGO_BIN_EXE_volet"));
        self.run(audit.args(["audit", "--json", "--state"]).arg(self.path(name)).args(more))
    }

    /// What an audit says of a camera that runs, and of what it sends for so long.
    pub(crate) fn live(&self, name: &str, lasts: Duration) -> anyhow::Result<serde_json::Value> {
        let mut audit = self.networks.on_camera(env!("CARGO_BIN_EXE_volet"));
        audit.args(["audit", "--quick", "--json", "--live", &lasts.as_secs().to_string(), "--state"]);
        self.run(audit.arg(self.path(name)))
    }

    /// What an audit says of a capture.
    pub(crate) fn audit(&self, name: &str, capture: &Path, more: &[&str]) -> anyhow::Result<serde_json::Value> {
        let mut audit = Command::new(env!("CARGO_BIN_EXE_volet"));
        audit.args(["audit", "--quick", "--json", "--card", CARD, "--state"]).arg(self.path(name));
        self.run(audit.arg("--capture").arg(capture).args(more))
    }

    fn run(&self, audit: &mut Command) -> anyhow::Result<serde_json::Value> {
        let out = audit.output()?;
        serde_json::from_slice(&out.stdout).with_context(|| String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

impl Drop for House<'_> {
    fn drop(&mut self) {
        for child in self.servants.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An agent that runs.
pub(crate) struct Agent {
    child: Child,
    heard: Receiver<String>,
    all: Vec<String>,
}

impl Agent {
    /// Waits until it says something that begins so.
    pub(crate) fn says(&mut self, beginning: &str) -> anyhow::Result<()> {
        self.says_one_of(&[beginning]).map(drop)
    }

    /// Waits until it says something that begins with one of these; which.
    pub(crate) fn says_one_of(&mut self, beginnings: &[&str]) -> anyhow::Result<usize> {
        loop {
            let line = match self.heard.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("the agent said none of {beginnings:?}, but: {}", self.all.join(" | "));
                }
            };
            let which = beginnings.iter().position(|beginning| line.starts_with(beginning));
            self.all.push(line);
            if let Some(which) = which {
                return Ok(which);
            }
        }
    }

    /// Kills it where it is.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
