//! Replicas of one aggregator, on one PostgreSQL and one S3 server.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::{ACCESS, BUCKET, Postgres, S3, SECRET};

/// Replicas, some of which may be dead.
pub(crate) struct Replicas {
    pub(crate) postgres: Arc<Postgres>,
    pub(crate) s3: S3,
    url: String,
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    /// Keep the ports until replicas need them.
    kept: Vec<TcpListener>,
    running: Vec<Option<Child>>,
}

impl Replicas {
    /// So many, none of which has a folder; `None`, said aloud, where there is no PostgreSQL.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let (postgres, s3, folder) = (Postgres::shared()?, S3::start(), tempfile::tempdir().unwrap());
        let kept: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = kept.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let url = postgres.database();
        Some(Self { postgres, s3, url, folder, ports, kept, running: (0..count).map(|_| None).collect() })
    }

    /// What makes the aggregator, but for the folder: the database's address in its settings is nowhere.
    pub(crate) fn init(&self, parameters: usize) -> Vec<String> {
        let model = self.folder.path().join("model.onnx");
        std::fs::write(&model, b"some model").unwrap();
        let words = [
            ("--model", model.to_str().unwrap().to_owned()),
            ("--parameters", parameters.to_string()),
            ("--objects", format!("s3://{BUCKET}/a/b")),
            ("--endpoint", self.s3.endpoint()),
            ("--database", "postgresql://volet@nowhere/volet".to_owned()),
        ];
        let words = words.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        std::iter::once("init".to_owned()).chain(words).collect()
    }

    /// Gives all the others what is in the first one's folder, and each its name and port.
    pub(crate) fn spread(&mut self) {
        let config = std::fs::read_to_string(self.path(0).join("config.toml")).unwrap();
        for (replica, port) in self.ports.iter().enumerate() {
            let folder = self.path(replica);
            if replica > 0 {
                std::fs::create_dir(&folder).unwrap();
                for file in std::fs::read_dir(self.path(0)).unwrap() {
                    let file = file.unwrap();
                    std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
                }
            }
            let own = config
                .replace("127.0.0.1:7443", &format!("127.0.0.1:{port}"))
                .replace("127.0.0.1:7444", "127.0.0.1:0")
                .replace("name = \"\"", &format!("name = \"replica-{replica}\""));
            std::fs::write(folder.join("config.toml"), own).unwrap();
        }
        self.kept.clear();
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn path(&self, replica: usize) -> PathBuf {
        self.folder.path().join(replica.to_string())
    }

    /// Where cameras and other replicas call it.
    pub(crate) fn address(&self, replica: usize) -> String {
        self.ports.get(replica).map(|port| format!("https://localhost:{port}")).unwrap_or_default()
    }

    pub(crate) fn command(&self, replica: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet-aggregator"));
        command
            .arg("--dir")
            .arg(self.path(replica))
            .env("VOLET_DATABASE_URL", &self.url)
            .env("VOLET_REPLICA_ADDRESS", self.address(replica))
            .env("AWS_ACCESS_KEY_ID", ACCESS)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn say(&self, replica: usize, arguments: &[&str]) -> String {
        let output = self.command(replica).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a replica, and waits until it says that it listens.
    pub(crate) fn start(&mut self, replica: usize) {
        let mut child = self.command(replica).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
        let (mut line, mut told) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        told.read_line(&mut line).unwrap();
        // It may have more to say.
        std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        self.running[replica] = Some(child);
        assert!(line.starts_with("listening on "), "{line}");
    }

    /// The processes that run.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.running.iter().flatten().map(Child::id).collect()
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self, replica: usize) {
        if let Some(mut child) = self.running[replica].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What the database says, at once.
    pub(crate) fn ask(&self, select: &str) -> Option<String> {
        self.postgres.execute(&self.url, select)
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
