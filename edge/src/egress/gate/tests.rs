//! What a gate lets out, and what it does not.

use super::super::ledger::{self, Record};
use super::book::Day;
use super::*;
use prost::Message;
use volet_proto::v1;

const CHECK_IN: &str = "/volet.v1.Aggregation/CheckIn";

struct House {
    folder: tempfile::TempDir,
    gate: Arc<Gate>,
}

impl House {
    fn new(consent: Consent, purpose: Purpose) -> Self {
        let folder = tempfile::tempdir().unwrap();
        consent.write(folder.path()).unwrap();
        let camera = Camera {
            aggregator: "https://aggregator.example:7443".to_owned(),
            authority: String::new(),
            enrolment_key: String::new(),
            team_key: String::new(),
            helper_key: None,
        };
        let key = SigningKey::from([7; 32]);
        if purpose == Purpose::Learning {
            let opened = Gate::open(folder.path(), &camera, &key, purpose);
            assert!(matches!(opened, Err(GateError::Place(PlaceError::Missing(_)))), "nobody began its ledger");
            Place::of(folder.path(), LEDGER).open(&key, true, &mut |_| {}).unwrap();
        }
        let gate = Gate::open(folder.path(), &camera, &key, purpose).unwrap();
        Self { folder, gate }
    }

    /// The agent is started again, as the disk is now.
    fn again(self) -> Result<Self, GateError> {
        let Self { folder, gate } = self;
        let (host, port, purpose) = (gate.host.clone(), gate.port, gate.purpose);
        drop(gate);
        let camera = Camera {
            aggregator: format!("https://{host}:{port}"),
            authority: String::new(),
            enrolment_key: String::new(),
            team_key: String::new(),
            helper_key: None,
        };
        let gate = Gate::open(folder.path(), &camera, &SigningKey::from([7; 32]), purpose)?;
        Ok(Self { folder, gate })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        ledger::records(&self.folder.path().join(LEDGER), None, &[], &mut |record| records.push(record.clone()))
            .unwrap();
        records
    }

    fn kinds(&self) -> Vec<Kind> {
        self.records().iter().map(|record| record.entry.kind).collect()
    }
}

fn check_in() -> Vec<u8> {
    v1::CheckInRequest { release: Some(1) }.encode_to_vec()
}

#[test]
fn nothing_passes_without_consent_and_its_refusal_is_written_down_once() {
    let house = House::new(Consent::new(false, true), Purpose::Learning);
    for _ in 0..3 {
        let why = house.gate.pass(CHECK_IN, &[&check_in()]).unwrap_err();
        assert!(why.contains("not agreed"), "{why}");
    }
    assert!(house.gate.pay(Kind::Wire, 1, "somewhere", b"bytes").is_err());
    assert_eq!(house.kinds(), [Kind::Started, Kind::Consent, Kind::Refused, Kind::Refused]);
}

#[test]
fn consent_that_is_taken_back_holds_for_the_next_byte() {
    let house = House::new(Consent::new(true, false), Purpose::Learning);
    house.gate.pass(CHECK_IN, &[&check_in()]).unwrap();
    house.gate.pay(Kind::Wire, 1, "somewhere", b"bytes").unwrap();
    Consent::new(false, false).write(house.folder.path()).unwrap();
    assert!(house.gate.pay(Kind::Wire, 1, "somewhere", b"bytes").is_err());
    assert!(house.gate.pass(CHECK_IN, &[&check_in()]).is_err());
    std::fs::remove_dir_all(Consent::folder(house.folder.path())).unwrap();
    assert!(!house.gate.is_open());
}

#[test]
fn a_restart_and_a_clock_that_was_put_back_give_no_day_twice() {
    let consent = Consent { megabytes_per_day: 1, ..Consent::new(true, false) };
    let house = House::new(consent, Purpose::Learning);
    let half = vec![0; 600 << 10];
    house.gate.pay(Kind::Wire, 1, "somewhere", &half).unwrap();
    let house = house.again().unwrap();
    assert!(house.gate.pay(Kind::Wire, 1, "somewhere", &half).is_err());
    house.gate.pay(Kind::Wire, 1, "somewhere", b"a little").unwrap();
    let day = |number, bytes| Day { number, bytes };
    assert_eq!([5, 4, 6].map(|next| day(5, 7).and(next, 1)), [day(5, 8), day(5, 8), day(6, 1)]);
}

#[test]
fn a_ledger_that_was_cut_removed_or_put_back_is_found_at_the_next_start() {
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir(to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    let tampered = |tamper: &dyn Fn(&House)| {
        let house = House::new(Consent::new(true, false), Purpose::Learning).again().unwrap();
        copy(&house.path(LEDGER), &house.path("earlier"));
        for _ in 0..3 {
            house.gate.pay(Kind::Wire, 1, "somewhere", b"x").unwrap();
        }
        let house = house.again().unwrap();
        tamper(&house);
        match house.again() {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        }
    };
    assert_eq!(tampered(&|_| {}), "");
    let removed = tampered(&|house| std::fs::remove_dir_all(house.path(LEDGER)).unwrap());
    let both = tampered(&|house| {
        std::fs::remove_dir_all(house.path(LEDGER)).unwrap();
        std::fs::remove_dir_all(house.path("heads")).unwrap();
    });
    assert!([removed, both].iter().all(|why| why.contains("missing") && why.contains("begin-ledger")));
    let back = tampered(&|house| {
        std::fs::remove_dir_all(house.path(LEDGER)).unwrap();
        std::fs::rename(house.path("earlier"), house.path(LEDGER)).unwrap();
    });
    assert!(back.contains("an earlier copy put back"), "{back}");
    let headless = tampered(&|house| std::fs::remove_dir_all(house.path("heads")).unwrap());
    assert!(headless.contains("second place"), "{headless}");
    // Records that were cut off behind the last connection's end, before any other start.
    let house = House::new(Consent::new(true, false), Purpose::Learning);
    copy(&house.path(LEDGER), &house.path("earlier"));
    house.gate.pay(Kind::Wire, 1, "somewhere", b"x").unwrap();
    house.gate.end(1, "somewhere");
    std::fs::remove_dir_all(house.path(LEDGER)).unwrap();
    std::fs::rename(house.path("earlier"), house.path(LEDGER)).unwrap();
    assert!(house.again().err().unwrap().to_string().contains("an earlier copy put back"));
    // The owner has a new one begun, which says so.
    let house = House::new(Consent::new(true, false), Purpose::Learning).again().unwrap();
    std::fs::remove_dir_all(house.path(LEDGER)).unwrap();
    let House { folder, gate } = house;
    drop(gate);
    let place = Place::of(folder.path(), LEDGER);
    place.begin_anew(&SigningKey::from([7; 32])).unwrap();
    let aside = ledger::verify(&place.folder, None, &[]).unwrap().aside.unwrap();
    assert!(aside.records.is_some());
}

#[test]
fn what_is_written_to_a_file_that_was_put_aside_lets_nothing_out() {
    let house = House::new(Consent::new(true, false), Purpose::Learning);
    house.gate.pay(Kind::Wire, 1, "somewhere", b"x").unwrap();
    let segment = std::fs::read_dir(house.path(LEDGER)).unwrap().map(|file| file.unwrap().path());
    let segment = segment.into_iter().find(|path| path.to_string_lossy().contains("segment-")).unwrap();
    std::fs::copy(&segment, house.path("copy")).unwrap();
    std::fs::rename(house.path("copy"), &segment).unwrap();
    let why = house.gate.pay(Kind::Wire, 1, "somewhere", b"unseen").unwrap_err();
    assert_eq!(why.kind(), io::ErrorKind::PermissionDenied);
    // It is opened anew, and goes on with what is there.
    house.gate.pay(Kind::Wire, 1, "somewhere", b"seen").unwrap();
    let digests: Vec<_> = house.records().iter().map(|record| record.entry.digest).collect();
    let has = |bytes: &[u8]| digests.contains(blake3::hash(bytes).as_bytes());
    assert!(has(b"seen") && !has(b"unseen"));
}

#[test]
fn what_passed_is_in_the_ledger_as_it_was() {
    let house = House::new(Consent::new(true, false), Purpose::Learning);
    house.gate.pass(CHECK_IN, &[&check_in()]).unwrap();
    let last = house.records().pop().unwrap().entry;
    assert_eq!((last.kind, last.bytes), (Kind::CheckIn, check_in().len() as u64));
    assert_eq!(last.digest, *blake3::hash(&check_in()).as_bytes());
    assert!(last.destination == "aggregator.example:7443" && last.policy.starts_with("consent to learning"));
}

#[test]
fn an_update_that_the_budget_has_not_sealed_stays() {
    let house = House::new(Consent::new(true, false), Purpose::Learning);
    let vector = v1::MaskedVector { packed: vec![7; 500], signature: vec![1; 64] };
    let body = v1::site_message::Body::Masked(vector);
    let data = v1::SiteMessage { body: Some(body) }.encode_to_vec();
    let round = Some(v1::RoundId { task: Some(v1::TaskId { id: vec![1; 16] }), number: 3 });
    let blake3 = blake3::hash(&data).as_bytes().to_vec();
    let say = |offset: usize| {
        let data = data[offset..].to_vec();
        let piece = v1::SayPiece { round: round.clone(), data, blake3: blake3.clone(), offset: offset as u64 };
        house.gate.pass("/volet.v1.Aggregation/Say", &[&piece.encode_to_vec()])
    };
    assert!(say(0).is_err());
    // Nor does its end, as if its beginning were there already.
    assert!(say(100).unwrap_err().contains("not let out"));
}

#[test]
fn a_day_has_so_many_bytes() {
    let consent = Consent { megabytes_per_day: 1, ..Consent::new(true, false) };
    let house = House::new(consent, Purpose::Learning);
    let half = vec![0; 1 << 19];
    house.gate.pay(Kind::Wire, 1, "somewhere", &half).unwrap();
    house.gate.pay(Kind::Wire, 1, "somewhere", &half).unwrap();
    let why = house.gate.pay(Kind::Wire, 1, "somewhere", b"x").unwrap_err().to_string();
    assert!(why.contains("1048576"), "{why}");
}

#[test]
fn enrolling_is_the_owners_own_doing_and_is_good_for_nothing_else() {
    let house = House::new(Consent::NONE, Purpose::Enrolment);
    let enrol = v1::EnrolRequest { token: "t".to_owned(), key: vec![1; 32], signature: vec![2; 64] };
    house.gate.pass("/volet.v1.Enrolment/Enrol", &[&enrol.encode_to_vec()]).unwrap();
    assert!(house.gate.pass("/volet.v1.Aggregation/Renew", &[&[]]).is_err());
    let agent = House::new(Consent::new(true, true), Purpose::Learning);
    assert!(agent.gate.pass("/volet.v1.Enrolment/Enrol", &[&enrol.encode_to_vec()]).is_err());
}

#[test]
fn no_other_address_is_reached() {
    let house = House::new(Consent::new(true, true), Purpose::Learning);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (host, port) in [("elsewhere.example", 7443), ("aggregator.example", 443), ("127.0.0.1", 7443)] {
        let opened = runtime.block_on(house.gate.clone().open(host.to_owned(), port));
        assert_eq!(opened.err().map(|error| error.kind()), Some(io::ErrorKind::PermissionDenied), "{host}:{port}");
    }
    assert_eq!(house.kinds()[2..], [Kind::Refused; 3]);
    let read = [("https://a:1", "a", 1), ("https://[::1]:7/", "::1", 7), ("https://a.b", "a.b", 443)];
    assert!(read.iter().all(|(text, host, port)| url(text) == Some(((*host).to_owned(), *port))));
    assert!(
        ["http://a:1", "https://", "https://a:b", "https://u@a:1", "https://a/b:1"].iter().all(|t| url(t).is_none())
    );
}
