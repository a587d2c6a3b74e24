//! The other side of the tests: a process with one thread, that is confined or not and does one thing.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use volet_edge::sandbox::{Aspect, Confinement, Mode, Report, begin};

use crate::acts;

/// Says that a process is one of these.
pub(crate) const FLAG: &str = "--volet-sandbox-child";

/// How a child is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Free,
    Files,
    Address,
    Name,
    Accepts,
    Nobody,
    Strict,
    Late,
    Off,
}

const HOWS: [How; 9] =
    [How::Free, How::Files, How::Address, How::Name, How::Accepts, How::Nobody, How::Strict, How::Late, How::Off];

/// What an act needs.
pub(crate) struct Place {
    /// Holds `inside`, which may be written, `readable`, which may be read, and `outside`.
    pub(crate) folder: PathBuf,
    /// A port on 127.0.0.1 that may be called, and one that may not; somebody listens on both.
    pub(crate) port: u16,
    pub(crate) other: u16,
    /// A listener from before.
    pub(crate) listener: TcpListener,
}

/// How an act ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// By this error.
    Refused(i32),
    /// By a signal, since the kernel saw what only an exploit does.
    Killed,
    /// It was not begun, and why.
    NotBegun(String),
}

/// Starts a child; how its act ended, and the report.
pub(crate) fn start(how: How, act: &str, folder: &Path, port: u16, other: u16) -> (End, Option<Report>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([FLAG, &format!("{how:?}"), act]).arg(folder).args([port.to_string(), other.to_string()]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stdout);
    let report = text.lines().find_map(|line| serde_json::from_str(line).ok());
    let errors = String::from_utf8_lossy(&stderr).into_owned();
    let end = match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
        (Some(0), _) => End::Done,
        (Some(REFUSED), _) => End::Refused(errors.trim().parse().unwrap()),
        (Some(NOT_BEGUN), _) => End::NotBegun(errors),
        // SIGSYS
        (None, Some(31)) => End::Killed,
        _ => panic!("{act} {how:?}: {status}: {errors}"),
    };
    (end, report)
}

const REFUSED: i32 = 10;
const NOT_BEGUN: i32 = 11;

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let [how, act, folder, port, other] = arguments else { panic!("{arguments:?}") };
    let how = HOWS.into_iter().find(|known| format!("{known:?}") == *how).unwrap();
    let folder = PathBuf::from(folder);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place = Place { folder, port: port.parse().unwrap(), other: other.parse().unwrap(), listener };
    if how != How::Free {
        match confine(how, &place) {
            Ok(report) => println!("{}", serde_json::to_string(&report).unwrap()),
            Err(error) => {
                eprintln!("{error}");
                return (NOT_BEGUN as u8).into();
            }
        }
    }
    match acts::act(act)(&place) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.raw_os_error().unwrap_or_else(|| panic!("{error:?}")));
            (REFUSED as u8).into()
        }
    }
}

fn confine(how: How, place: &Place) -> Result<Report, volet_edge::sandbox::SandboxError> {
    let files = Confinement::new().reads(place.folder.join("readable")).writes(place.folder.join("inside"));
    let (mode, user, needs) = match how {
        How::Free | How::Files => (Mode::Usual, None, files),
        How::Late => {
            std::thread::spawn(|| {
                loop {
                    std::thread::park();
                }
            });
            (Mode::Usual, None, files)
        }
        How::Address => (Mode::Usual, None, files.calls("127.0.0.1", place.port)),
        How::Name => (Mode::Usual, None, files.calls("aggregator.example", place.port)),
        How::Accepts => (Mode::Usual, None, files.accepts()),
        How::Nobody => (Mode::Usual, Some("nobody"), files),
        How::Strict => (Mode::Strict, None, files),
        How::Off => (Mode::Off, None, files),
    };
    begin(mode, user)?.confine(&needs)
}

/// An error of rustix or nix as one of the standard library.
pub(crate) fn io(error: impl Into<io::Error>) -> io::Error {
    error.into()
}

/// Whether this kernel can bound what the claim is about.
pub(crate) fn holds(report: &Report, about: Aspect) -> bool {
    report.claim(about).is_some_and(|claim| claim.verdict == volet_edge::sandbox::Verdict::Enforced)
}
