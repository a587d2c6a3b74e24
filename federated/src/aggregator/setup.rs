//! An aggregator's folder: made once, opened by every command.
//!
//! `config.toml` is for the team to edit; `camera.toml` goes onto cameras and holds no secret; the other files are keys, for
//! their owner's eyes. `config.toml` is written last: where it is missing, nothing was finished, and making begins again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::book::{Book, Keys};
use super::config::{Checked, Config, ConfigError, Storage};
use super::peers::Peers;
use super::pki::{CertificateAuthority, Certified, PkiError};
use super::register::{Register, Replica, Sqlite};
use super::store::{Folder, Store, put};
use crate::TaskId;
use crate::camera::Camera;
use crate::signing::{SigningKey, VerifyingKey};

/// Why a folder cannot be made or opened.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum SetupError {
    #[error("{} holds an aggregator already", .0.display())]
    Exists(PathBuf),
    #[error("{} holds no aggregator: make one with `volet-aggregator init`", .0.display())]
    Missing(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is damaged: bring it back from a backup", .0.display())]
    Damaged(PathBuf),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("the operating system gives no random bytes")]
    Entropy,
    #[error("the storage that replicas share: {0}")]
    Shared(io::Error),
    #[error("this program was built without the feature \"cluster\", which [storage] kind = \"postgres\" needs")]
    Alone,
    #[error("{} is served already by another process: stop that one first", .0.display())]
    Served(PathBuf),
}

/// An aggregator's folder, opened.
pub struct Setup {
    /// The configuration.
    pub checked: Checked,
    /// The server's own certificate.
    pub server: Certified,
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The book.
    pub book: Book,
    /// The other replicas.
    pub peers: Peers,
}

const AUTHORITY_DAYS: u32 = 3650;

impl Setup {
    /// Makes an aggregator in a new or empty folder with this `config.toml`, from the model file that its lineage starts from.
    ///
    /// # Errors
    /// A [`SetupError`].
    pub fn create(folder: &Path, text: &str, name: &str, model: &[u8]) -> Result<Camera, SetupError> {
        if folder.join("config.toml").exists() {
            return Err(SetupError::Exists(folder.to_owned()));
        }
        let checked = Config::read(text)?;
        let config = &checked.config;
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        // Who is enrolled is nobody else's business either.
        #[cfg(unix)]
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(at(folder))?;
        let authority = CertificateAuthority::create(AUTHORITY_DAYS)?;
        let server = CertificateAuthority::open(&authority.key)?.server(config.names.clone(), AUTHORITY_DAYS)?;
        let (team, enrolment) = (random_key()?, random_key()?);
        let mut task = [0; 16];
        getrandom::fill(&mut task).map_err(|_| SetupError::Entropy)?;
        for (name, text) in [
            ("authority.key", authority.key.as_str()),
            ("authority.pem", &authority.certificate),
            ("server.key", &server.key),
            ("server.pem", &server.certificate),
            ("team.key", &hex(team.into())),
            ("enrolment.key", &hex(enrolment.into())),
            ("task.id", &TaskId::from_bytes(task).to_string()),
        ] {
            let path = folder.join(name);
            secret(&path, text).map_err(at(&path))?;
        }
        let host = config.names.first().map_or("localhost", String::as_str);
        let public = |key: &SigningKey| hex(VerifyingKey::from(key).to_bytes());
        let camera = Camera {
            aggregator: format!("https://{host}:{}", config.listen.port()),
            authority: authority.certificate,
            enrolment_key: public(&enrolment),
            team_key: public(&team),
            helper_key: None,
        };
        let first = |store: &dyn Store| Book::first(store, &team, name.to_owned(), model);
        match &config.storage {
            Storage::Folder => {
                let book = folder.join("book.sqlite");
                let store = Folder::open(folder).map_err(at(folder))?;
                let _ = std::fs::remove_file(&book);
                Sqlite::create(&book, &first(&store).map_err(at(folder))?).map_err(at(&book))?;
            }
            #[cfg(feature = "cluster")]
            Storage::Postgres(shared) => super::cluster::create(shared, TaskId::from_bytes(task), first)?,
            #[cfg(not(feature = "cluster"))]
            Storage::Postgres(_) => return Err(SetupError::Alone),
        }
        let whom = toml::to_string(&camera).map_err(|_| SetupError::Damaged(folder.join("camera.toml")))?;
        for (name, text) in [("camera.toml", whom.as_str()), ("config.toml", text)] {
            let path = folder.join(name);
            put(&path, text.as_bytes()).map_err(at(&path))?;
        }
        Ok(camera)
    }

    /// Opens an aggregator's folder.
    ///
    /// # Errors
    /// A [`SetupError`].
    pub fn open(folder: &Path) -> Result<Self, SetupError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => SetupError::Missing(folder.to_owned()),
                _ => SetupError::Io { path, source },
            })
        };
        let checked = Config::read(&read("config.toml")?)?;
        let key = |name: &str| {
            let bytes = blake3::Hash::from_hex(read(name)?.trim()).map(<[u8; 32]>::from);
            bytes.map(SigningKey::from).map_err(|_| SetupError::Damaged(folder.join(name)))
        };
        let keys = Keys {
            authority: CertificateAuthority::open(&read("authority.key")?)?,
            enrolment: key("enrolment.key")?,
            team: key("team.key")?,
        };
        let task = read("task.id")?.trim().parse::<TaskId>();
        let task = task.map_err(|_| SetupError::Damaged(folder.join("task.id")))?;
        let server = Certified { certificate: read("server.pem")?, key: read("server.key")? };
        let authority = read("authority.pem")?;
        let (register, store, replica, peers): (Box<dyn Register>, Box<dyn Store>, _, _) = match &checked.config.storage
        {
            Storage::Folder => {
                let path = folder.join("book.sqlite");
                let register = Sqlite::open(&path).map_err(at(&path))?;
                let store = Folder::open(folder).map_err(at(folder))?;
                let replica = Replica { name: "here".to_owned(), address: String::new(), lease: checked.lease() };
                (Box::new(register), Box::new(store), replica, Peers::none())
            }
            #[cfg(feature = "cluster")]
            Storage::Postgres(shared) => {
                let (register, store, replica) = super::cluster::open(shared, &checked, task)?;
                let name = checked.config.names.first().map_or("localhost", String::as_str);
                let peers = Peers::new(&replica.name, &server, &authority, name, checked.longest());
                let peers = peers.ok_or_else(|| SetupError::Damaged(folder.join("server.pem")))?;
                (Box::new(register), Box::new(store), replica, peers)
            }
            #[cfg(not(feature = "cluster"))]
            Storage::Postgres(_) => return Err(SetupError::Alone),
        };
        let book = Book::new(register, store, keys, checked.clone(), task, replica);
        Ok(Self { checked, server, authority, book, peers })
    }

    /// Keeps other processes from serving out of this folder, as long as the file is open.
    ///
    /// # Errors
    /// [`SetupError::Served`], [`SetupError::Io`].
    pub fn lock(folder: &Path) -> Result<File, SetupError> {
        let path = folder.join("serve.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(SetupError::Served(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SetupError + '_ {
    |source| SetupError::Io { path: path.to_owned(), source }
}

fn random_key() -> Result<SigningKey, SetupError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| SetupError::Entropy)?;
    Ok(bytes.into())
}

/// 64 hexadecimal digits.
pub(super) fn hex(bytes: [u8; 32]) -> String {
    blake3::Hash::from_bytes(bytes).to_string()
}

/// Writes a file that its owner alone may read, durably at return.
pub(super) fn secret(path: &Path, text: &str) -> io::Result<()> {
    let _ = std::fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
