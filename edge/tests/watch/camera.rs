//! The built program as a service: what it says, and how it is ended.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::feeder::{CONFIG, Feeder};

/// A folder with a pipe for a sensor, settings, and a folder of segments.
pub(crate) struct Place(pub(crate) tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> (Self, Feeder) {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("etc")).unwrap();
        std::fs::write(place.path("etc/camera.toml"), CONFIG).unwrap();
        let feeder = Feeder::new(&place.path("sensor"));
        (place, feeder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// What the program says to another command, and whether it succeeded.
    pub(crate) fn says(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet-edge"));
        let output = command.current_dir(self.0.path()).args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    /// The same, where it has to succeed.
    #[cfg(all(feature = "vault", feature = "agent"))]
    pub(crate) fn said(&self, arguments: &[&str]) -> String {
        let (succeeded, said) = self.says(arguments);
        assert!(succeeded, "{arguments:?}: {said}");
        said
    }

    /// The program with these arguments and the usual ones, in segments of so many seconds.
    pub(crate) fn command(&self, seconds: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet-edge"));
        command.current_dir(self.0.path());
        command.args(["watch", "--source", "sensor", "--out", "out", "--config", "etc/camera.toml"]);
        command.args(["--segment-seconds", seconds]).args(more);
        // What a device without them has.
        command.env("HOME", "/nonexistent").env("TMPDIR", "/nonexistent").env("VOLET_LOG", "info");
        command
    }

    pub(crate) fn start(&self, more: &[&str]) -> Camera {
        Camera::start(self.command("1", more))
    }
}

/// The program at work.
pub(crate) struct Camera {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Camera {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let from = BufReader::new(child.stderr.take().unwrap());
        let (to, lines) = channel();
        std::thread::spawn(move || from.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        Self { child, lines, heard: Vec::new() }
    }

    /// Waits until it says something, from here on.
    pub(crate) fn hears(&mut self, what: &str) {
        // Long: the machine may have other things to do. Twice that, where it says other things without an end.
        let patience = Duration::from_secs(120);
        let until = Instant::now() + 2 * patience;
        loop {
            match self.lines.recv_timeout(patience.min(until.saturating_duration_since(Instant::now()))) {
                Ok(line) => self.heard.push(line),
                Err(error) => {
                    let last = self.heard.len().saturating_sub(100);
                    panic!("it never said {what:?} ({error}):\n{}", self.heard[last..].join("\n"))
                }
            }
            if self.heard.last().is_some_and(|line| line.contains(what)) {
                return;
            }
        }
    }

    /// Whether it has said something since it was last listened to.
    pub(crate) fn has_said(&mut self, what: &str) -> bool {
        let new = self.heard.len();
        self.heard.extend(self.lines.try_iter());
        self.heard[new..].iter().any(|line| line.contains(what))
    }

    /// Waits until so many more segments are whole.
    pub(crate) fn makes(&mut self, segments: usize) {
        (0..segments).for_each(|_| self.hears("whole segment="));
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// As when the power goes.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.rest()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        let status = self.child.wait().unwrap();
        let said = self.rest();
        assert!(status.success(), "{status}:\n{}", said.join("\n"));
        said
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ends(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().unwrap();
        (status, self.rest())
    }

    fn rest(&mut self) -> Vec<String> {
        self.heard.extend(self.lines.iter());
        std::mem::take(&mut self.heard)
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    // As an editor does: the file is another one afterwards.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}
