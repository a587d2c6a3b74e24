//! The built `volet-aggregator` in a folder of its own, for tests.

#![allow(dead_code)] // no test uses all of it

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use volet_federated::aggregator::Camera;

pub(crate) fn program(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volet-aggregator")).arg("--dir").arg(folder).args(arguments).output().unwrap()
}

/// What a program says that succeeds.
pub(crate) fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// That a program fails with these words, and in no other way.
pub(crate) fn refused(output: Output, with: &str) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains(with) && !error.contains("panicked"), "{error}");
}

/// An aggregator's folder.
pub(crate) struct House {
    parent: tempfile::TempDir,
    pub(crate) camera: Camera,
    pub(crate) port: u16,
}

/// A server that runs, until it is dropped.
pub(crate) struct Serving {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub(crate) dashboard: String,
}

impl House {
    /// Makes an aggregator at free ports, with these changes to its `config.toml`.
    pub(crate) fn new(parameters: usize, changes: &[(&str, &str)]) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let (folder, model) = (parent.path().join("aggregator"), parent.path().join("model.onnx"));
        std::fs::write(&model, b"some model").unwrap();
        let parameters = parameters.to_string();
        said(program(&folder, &["init", "--model", model.to_str().unwrap(), "--parameters", &parameters]));
        let port = free_port();
        let listen = ("127.0.0.1:7443", &*format!("127.0.0.1:{port}"));
        let dashboard = ("127.0.0.1:7444", "127.0.0.1:0");
        let changes: Vec<_> = [listen, dashboard].into_iter().chain(changes.iter().copied()).collect();
        change(&folder.join("config.toml"), &changes);
        change(&folder.join("camera.toml"), &[(":7443", &format!(":{port}"))]);
        let camera = toml::from_str(&std::fs::read_to_string(folder.join("camera.toml")).unwrap()).unwrap();
        Self { parent, camera, port }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.parent.path().join("aggregator")
    }

    /// A folder beside the aggregator's.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Output {
        program(&self.folder(), arguments)
    }

    pub(crate) fn tokens(&self, count: usize) -> Vec<String> {
        let tokens = said(self.program(&["enroll", "--count", &count.to_string()]));
        tokens.lines().map(str::to_owned).collect()
    }

    /// Starts the server, and waits until it says that it listens.
    pub(crate) fn serve(&self) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet-aggregator"));
        command.arg("--dir").arg(self.folder()).arg("serve");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let (mut listening, mut dashboard) = (String::new(), String::new());
        lines.read_line(&mut listening).unwrap();
        lines.read_line(&mut dashboard).unwrap();
        assert!(listening.starts_with("listening on "), "{listening}");
        let dashboard = dashboard.trim().strip_prefix("dashboard at ").unwrap().to_owned();
        Serving { child, dashboard }
    }

    /// How much the journals of shards hold now.
    pub(crate) fn journals(&self) -> u64 {
        let shards = std::fs::read_dir(self.folder().join("rounds")).into_iter().flatten().flatten();
        shards.filter_map(|shard| shard.path().join("log").metadata().ok()).map(|log| log.len()).sum()
    }
}

impl Serving {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// As by `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that no outgoing connection is given while the server that had it is down.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 12_000 + (std::process::id() % 15_000) as u16;
    loop {
        // Each one once: tests of one process look at the same time.
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % 4000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Changes a file, each of whose old parts it holds.
pub(crate) fn change(path: &Path, changes: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{} lacks {from:?}: {text}", path.display());
        text = text.replace(from, to);
    }
    std::fs::write(path, text).unwrap();
}
