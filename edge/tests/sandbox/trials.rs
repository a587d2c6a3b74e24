//! Each act free and confined, and what the reports say.

use std::net::{Ipv4Addr, TcpListener};

use libtest_mimic::{Failed, Trial};
use volet_edge::sandbox::{Aspect, Mode, Verdict};

use crate::child::{End, How, holds, start};

/// EPERM, EACCES
const REFUSALS: [i32; 2] = [1, 13];

/// What is expected of an act.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Done,
    Refused,
    Killed,
}
use Due::{Done, Killed, Refused};

/// Acts; how they are confined; how they end; what holds it.
const CASES: &[(&str, How, Due, Aspect)] = &[
    ("reads what it may", How::Files, Done, Aspect::Files),
    ("writes where it may", How::Files, Done, Aspect::Files),
    ("reads a file elsewhere", How::Files, Refused, Aspect::Files),
    ("reads by a link", How::Files, Refused, Aspect::Files),
    ("reads /etc/shadow", How::Files, Refused, Aspect::Files),
    ("reads its own memory", How::Files, Refused, Aspect::Files),
    ("lists a folder elsewhere", How::Files, Refused, Aspect::Files),
    ("writes what it may only read", How::Files, Refused, Aspect::Files),
    ("makes a file elsewhere", How::Files, Refused, Aspect::Files),
    ("truncates a file elsewhere", How::Files, Refused, Aspect::Files),
    ("moves a file elsewhere", How::Files, Refused, Aspect::Files),
    ("removes a file elsewhere", How::Files, Refused, Aspect::Files),
    ("opens a file elsewhere to all", How::Files, Refused, Aspect::Calls),
    ("makes a link", How::Files, Refused, Aspect::Calls),
    ("calls a port", How::Files, Refused, Aspect::Tcp),
    ("calls a port", How::Accepts, Refused, Aspect::Tcp),
    ("calls a port", How::Address, Done, Aspect::Tcp),
    ("calls a port", How::Name, Done, Aspect::Tcp),
    ("calls localhost by its name", How::Address, Done, Aspect::Tcp),
    ("calls localhost by its name", How::Name, Done, Aspect::Tcp),
    ("calls another port", How::Address, Refused, Aspect::Tcp),
    ("calls another port", How::Name, Refused, Aspect::Tcp),
    ("calls by fast open", How::Address, Refused, Aspect::Calls),
    ("calls by fast open", How::Name, Refused, Aspect::Calls),
    ("sends UDP", How::Files, Refused, Aspect::Calls),
    ("sends UDP", How::Address, Refused, Aspect::Calls),
    ("has a UDP socket", How::Address, Refused, Aspect::Udp),
    ("has a UDP socket", How::Accepts, Refused, Aspect::Udp),
    ("has a UDP socket", How::Name, Done, Aspect::Calls),
    ("has an MPTCP socket", How::Address, Refused, Aspect::Sockets),
    ("has a raw socket", How::Name, Refused, Aspect::Sockets),
    ("has a packet socket", How::Name, Refused, Aspect::Sockets),
    ("has a netlink socket", How::Name, Refused, Aspect::Sockets),
    ("has a Unix socket", How::Name, Refused, Aspect::Sockets),
    ("listens", How::Address, Refused, Aspect::Listening),
    ("listens", How::Name, Refused, Aspect::Calls),
    ("listens", How::Accepts, Refused, Aspect::Listening),
    ("takes a call", How::Accepts, Done, Aspect::Listening),
    ("takes a call", How::Name, Refused, Aspect::Listening),
    ("starts a program", How::Name, Refused, Aspect::Programs),
    ("signals its parent", How::Files, Refused, Aspect::Processes),
    ("traces", How::Files, Killed, Aspect::Processes),
    ("reads another process", How::Files, Killed, Aspect::Processes),
    ("enters a new name space", How::Files, Killed, Aspect::Calls),
    ("mounts", How::Files, Killed, Aspect::Calls),
    ("becomes dumpable", How::Files, Refused, Aspect::Memory),
    ("changes its user", How::Files, Refused, Aspect::Calls),
    ("changes its capabilities", How::Files, Refused, Aspect::Calls),
    ("reads a file elsewhere, in a thread", How::Files, Refused, Aspect::Files),
    ("has a UDP socket, in a thread", How::Address, Refused, Aspect::Udp),
    ("starts a program, in a thread", How::Files, Refused, Aspect::Programs),
    ("has capabilities", How::Files, Refused, Aspect::Capabilities),
    ("may gain privileges", How::Files, Refused, Aspect::Privileges),
    ("is root", How::Nobody, Refused, Aspect::User),
];

pub(crate) fn all() -> Vec<Trial> {
    let cases = CASES.iter().map(|(act, how, due, about)| {
        let name = match due {
            Done => format!("{how:?}: still {act}"),
            _ => format!("{how:?}: no longer {act}"),
        };
        Trial::test(name, move || case(act, *how, *due, *about))
    });
    let others = [
        Trial::test("the report says what holds", report),
        Trial::test("strict does not start where a claim is open", strict),
        Trial::test("with a second thread nothing begins", late),
        Trial::test("off refuses nothing and says so", off),
    ];
    cases.chain(others).collect()
}

/// A folder, two listeners, and what runs in them.
struct House {
    folder: tempfile::TempDir,
    listeners: [TcpListener; 2],
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["inside", "readable", "outside", "outside/mount"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        for name in ["inside/file", "readable/file", "outside/secret"] {
            std::fs::write(path(name), "secret").unwrap();
        }
        std::os::unix::fs::symlink(path("outside/secret"), path("inside/link")).unwrap();
        let listeners = [0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        Self { folder, listeners }
    }

    fn start(&self, how: How, act: &str) -> (End, Option<volet_edge::sandbox::Report>) {
        let [port, other] = self.listeners.each_ref().map(|l| l.local_addr().unwrap().port());
        start(how, act, self.folder.path(), port, other)
    }
}

fn case(act: &str, how: How, due: Due, about: Aspect) -> Result<(), Failed> {
    let (free, _) = House::new().start(How::Free, act);
    if free != End::Done {
        println!("skipped: here nobody {act}, confined or not: {free:?}");
        return Ok(());
    }
    let house = House::new();
    let (end, report) = house.start(how, act);
    if how == How::Nobody && matches!(end, End::NotBegun(_)) {
        println!("skipped: {end:?}");
        return Ok(());
    }
    let report = report.ok_or_else(|| format!("{end:?}"))?;
    if due != Done && !holds(&report, about) {
        println!("skipped: {}", report.claim(about).unwrap());
        return Ok(());
    }
    let as_due = match (&end, due) {
        (End::Done, Done) | (End::Killed, Killed) => true,
        (End::Refused(error), Refused) => REFUSALS.contains(error),
        _ => false,
    };
    if as_due { Ok(()) } else { Err(format!("{act}: {end:?}; {report:#?}").into()) }
}

fn report() -> Result<(), Failed> {
    let house = House::new();
    let (_, files) = house.start(How::Files, "nothing");
    let (_, name) = house.start(How::Name, "nothing");
    let (files, name) = (files.unwrap(), name.unwrap());
    for report in [&files, &name] {
        // Every aspect once, and each claim in words.
        for (index, claim) in report.claims.iter().enumerate() {
            assert!(report.claims[..index].iter().all(|other| other.about != claim.about), "{claim}");
            assert!(!claim.says.is_empty());
        }
        assert_eq!((report.mode, report.claims.len()), (Mode::Usual, 12));
        assert!(report.kernel.starts_with("Linux "), "{}", report.kernel);
    }
    assert!(files.claim(Aspect::Files).unwrap().says.contains("/inside"));
    // What is open is said: datagrams where names are looked up, unless the kernel bounds them; hosts always.
    let udp = &name.claim(Aspect::Udp).unwrap().verdict;
    assert!(!matches!(udp, Verdict::Partly { why } if !why.contains("any host")), "{udp:?}");
    assert!(name.beyond.iter().any(|line| line.contains("which hosts")), "{:?}", name.beyond);
    assert!(name.beyond.iter().any(|line| line.contains("DNS tunnel")), "{:?}", name.beyond);
    assert!(!files.beyond.iter().any(|line| line.contains("hosts")), "{:?}", files.beyond);
    Ok(())
}

fn strict() -> Result<(), Failed> {
    let house = House::new();
    let (_, usual) = house.start(How::Files, "nothing");
    let usual = usual.unwrap();
    match (house.start(How::Strict, "nothing").0, usual.holds()) {
        (End::Done, true) => Ok(()),
        (End::NotBegun(why), false) if usual.open().iter().all(|open| why.contains(open)) => Ok(()),
        (end, holds) => Err(format!("{end:?} where all holds: {holds}").into()),
    }
}

fn late() -> Result<(), Failed> {
    match House::new().start(How::Late, "nothing").0 {
        End::NotBegun(why) if why.contains("2 threads run already") => Ok(()),
        end => Err(format!("{end:?}").into()),
    }
}

fn off() -> Result<(), Failed> {
    let house = House::new();
    for act in ["reads a file elsewhere", "calls another port", "starts a program"] {
        let (end, report) = house.start(How::Off, act);
        let report = report.unwrap();
        assert!(end == End::Done && report.mode == Mode::Off, "{act}: {end:?}");
        let held = report.claims.iter().filter(|claim| claim.verdict == Verdict::Enforced);
        // That it is not root is so or not, whoever asks.
        assert!(held.into_iter().all(|claim| claim.about == Aspect::User), "{report:#?}");
    }
    Ok(())
}
