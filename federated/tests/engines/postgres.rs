//! A PostgreSQL of a test's own, in a temporary folder. It ends with the test, however that ends: the shell that starts it
//! waits for its standard input to be closed.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio_postgres::NoTls;

pub(crate) struct Postgres {
    programs: PathBuf,
    folder: tempfile::TempDir,
    server: Mutex<Option<Child>>,
    databases: AtomicUsize,
}

/// Waits for the end of standard input, or of the server.
const WATCH: &str = r#""$@" <&- & server=$!; cat >/dev/null; kill -INT $server; wait $server"#;

impl Postgres {
    /// The server that tests of this process share; `None`, said aloud, where there is no PostgreSQL.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let new = Arc::new(Self::start(&[])?);
        *shared = Arc::downgrade(&new);
        Some(new)
    }

    /// A server with these settings; `None`, said aloud, where there is no PostgreSQL.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: there is no PostgreSQL (initdb, postgres) on this machine");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("volet-pg-").tempdir().unwrap();
        if is_root() {
            let (user, group) = another_user();
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let this = Self { programs, folder, server: Mutex::new(None), databases: AtomicUsize::new(0) };
        let data = this.folder.path().join("data");
        let made = command(&this.programs.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", "volet", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"])
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let socket = format!("unix_socket_directories='{}'\n", this.folder.path().display());
        let own = "listen_addresses=''\nfsync=off\nmax_connections=200\n";
        let mut config = std::fs::read_to_string(data.join("postgresql.conf")).unwrap() + &socket + own;
        settings.iter().for_each(|line| config.extend([line, "\n"]));
        std::fs::write(data.join("postgresql.conf"), config).unwrap();
        this.run();
        Some(this)
    }

    /// Starts the server, and waits until it says that it is ready.
    pub(crate) fn run(&self) {
        let mut shell = command(Path::new("sh"))
            .args(["-c", WATCH, "sh"])
            .arg(self.programs.join("postgres"))
            .arg("-D")
            .arg(self.data())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(shell.stderr.take().unwrap());
        let (mut said, mut line) = (String::new(), String::new());
        while !line.contains("ready to accept connections") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "postgres has not started: {said}");
            said += &line;
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        *self.server.lock().unwrap() = Some(shell);
    }

    /// Stops the server: whoever is connected loses its connection.
    pub(crate) fn stop(&self) {
        if let Some(mut shell) = self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A new database's URL.
    pub(crate) fn database(&self) -> String {
        let name = format!("volet{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.execute(&self.url("postgres"), &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgresql://volet@/{name}?host={}", self.folder.path().display())
    }

    /// Runs statements; what the first row of the last one says.
    pub(crate) fn execute(&self, url: &str, statements: &str) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let said = client.simple_query(statements).await.unwrap();
            drop(client);
            connection.await.unwrap().unwrap();
            said.into_iter().rev().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
                _ => None,
            })
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where `initdb` and `postgres` are: Debian keeps them out of the PATH.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let folders = debian.into_iter().rev().chain(path).chain(["/usr/local/bin".into()]);
    let mut with_both = folders.filter(|folder| ["initdb", "postgres"].iter().all(|name| folder.join(name).exists()));
    with_both.next()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// PostgreSQL does not run as root.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdout(Stdio::null());
    if is_root() {
        let (user, group) = another_user();
        command.uid(user).gid(group);
    }
    command
}

fn another_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let fields: Vec<&str> = users.lines().find(|line| line.split(':').next() == Some(name))?.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    of("postgres").or_else(|| of("nobody")).expect("a user other than root")
}
