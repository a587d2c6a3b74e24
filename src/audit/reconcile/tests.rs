//! Captures of what a ledger explains, and of what none does.

use super::super::packets::sent;
use super::super::packets::tests::{capture, datagram, ours, segment};
use super::*;
use proptest::prelude::*;
use volet_edge::egress::ledger::{Entry, Kind};

const HOME: [u8; 4] = [10, 0, 0, 1];
const AWAY: [u8; 4] = [10, 0, 0, 9];
const BASE: u32 = u32::MAX - 20;

fn record(number: u64, kind: Kind, destination: &str, bytes: &[u8]) -> Record {
    let entry = Entry {
        kind,
        destination: destination.to_owned(),
        bytes: bytes.len() as u64,
        digest: *blake3::hash(bytes).as_bytes(),
        policy: String::new(),
        connection: u64::from(matches!(kind, Kind::Wire | Kind::Connection)),
    };
    Record { number, at: 1, entry }
}

/// A question, and a connection to home over which two pieces go.
fn ledger() -> Vec<Record> {
    let home = "home (10.0.0.1:443)";
    let of = [
        (Kind::Started, "", &b""[..]),
        (Kind::Lookup, "10.0.0.1:53", b"where is home"),
        (Kind::Connection, home, b""),
        (Kind::Wire, home, b"hello, this is "),
        (Kind::Wire, home, b"a camera of yours"),
    ];
    (1..).zip(of).map(|(number, (kind, destination, bytes))| record(number, kind, destination, bytes)).collect()
}

/// What goes over the wire by that.
fn honest() -> Vec<Vec<u8>> {
    let at = |offset: u32, payload: &[u8]| segment(HOME, (4000, 443), BASE.wrapping_add(1 + offset), false, payload);
    vec![
        datagram(HOME, 53, b"where is home"),
        segment(HOME, (4000, 443), BASE, true, &[]),
        at(0, b""),
        at(0, b"hello, "),
        // Out of order, and one of them twice.
        at(15, b"a camera "),
        at(7, b"this is "),
        at(7, b"this is "),
        at(24, b"of yours"),
    ]
}

fn of(frames: &[Vec<u8>]) -> Reconciled {
    against(frames, &ledger())
}

fn against(frames: &[Vec<u8>], ledger: &[Record]) -> Reconciled {
    reconcile(&sent(&capture(frames)[..], &ours()).unwrap(), ledger)
}

fn holds(told: &Reconciled) -> bool {
    told.verdict() == Verdict::Held
}

#[test]
fn all_is_explained_where_nothing_else_was_sent() {
    let all = of(&honest());
    assert!(holds(&all) && all.share() == Some(1.0), "{all:?}");
    assert_eq!((all.bytes, all.explained_bytes, all.packets), (45, 45, 8));
}

#[test]
fn a_capture_in_which_nothing_is_said_shows_nothing() {
    let none = of(&[]);
    assert_eq!((none.verdict(), none.share()), (Verdict::NotExamined, None));
    // Of other cards alone, while the ledger says that something went.
    let mut elsewhere = honest();
    elsewhere.iter_mut().for_each(|frame| frame[11] = 99);
    let mut ledger = ledger();
    assert_eq!(against(&elsewhere, &ledger).verdict(), Verdict::NotExamined);
    ledger[3].at = 3000;
    let unseen = against(&elsewhere, &ledger);
    assert_eq!((unseen.verdict(), unseen.others, unseen.ledger_bytes), (Verdict::Failed, 8, 15));
}

#[test]
fn destinations_are_read_as_they_are_written_down() {
    let of = |text: &str| address(text).map(|address| address.to_string());
    let known = [
        ("home.example (192.0.2.7:443)", "192.0.2.7:443"),
        ("home.example ([2001:db8::7]:443)", "[2001:db8::7]:443"),
        ("192.0.2.53:53", "192.0.2.53:53"),
        ("2001:db8::53:53", "[2001:db8::53]:53"),
    ];
    known.iter().for_each(|(text, address)| assert_eq!(of(text).as_deref(), Some(*address)));
    assert!(["", "home.example", "home.example:443"].iter().all(|text| of(text).is_none()));
}

#[test]
fn lost_packets_are_no_evidence() {
    let mut capture = sent(&capture(&honest())[..], &ours()).unwrap();
    capture.lost = 1;
    assert_eq!(reconcile(&capture, &ledger()).verdict(), Verdict::Failed);
}

/// A camera keeps a connection for minutes: a capture may begin within one.
#[test]
fn a_connection_from_before_the_capture_is_compared_from_a_piece_on() {
    let mut ledger = ledger();
    ledger.push(record(6, Kind::Wire, "home (10.0.0.1:443)", b"and again"));
    let at = |offset: u32, payload: &[u8]| segment(HOME, (4000, 443), 100u32.wrapping_add(offset), false, payload);
    let later = [at(0, b""), at(0, b"a camera "), at(9, b"of yours"), at(17, b"and "), at(21, b"again")];
    let told = against(&later, &ledger);
    assert!(holds(&told) && told.explained_bytes == 26, "{told:?}");
    // An acknowledgement alone, and a probe from before the first byte.
    assert_eq!(against(&[at(0, b"")], &ledger).unexplained_packets, 0);
    assert!(holds(&against(&[&[at(u32::MAX, b"")], &later[..]].concat(), &ledger)));
    // From within a piece, with more behind, with something before: none of that is the ledger's.
    assert_eq!(against(&later[2..3], &ledger).explained_bytes, 0);
    let more = against(&[&later[..], &[at(26, &[7; 320])]].concat(), &ledger);
    assert!(!holds(&more) && more.explained_bytes == 26, "{more:?}");
    assert!(!holds(&against(&[at(0, &[7; 320]), at(320, b"a camera "), at(329, b"of yours")], &ledger)));
    // What was written down long before.
    let mut late = [at(0, b""), at(0, b"and again")].to_vec();
    late.splice(0..0, (0..70).map(|_| segment(HOME, (4000, 443), 100, false, b"")));
    assert!(!holds(&against(&late, &ledger)));
    // A stranger's connection takes none away from the camera's.
    let mixed = [&[segment(HOME, (4003, 443), 9, false, &[7; 32])], &later[..]].concat();
    let told = against(&mixed, &ledger);
    assert_eq!((told.explained_bytes, told.bytes), (26, 58));
}

#[test]
fn what_is_sent_again_longer_and_otherwise_is_seen() {
    let mut other = honest();
    // Before its time, and then longer, with another beginning.
    other.insert(4, segment(HOME, (4000, 443), BASE.wrapping_add(16), false, b"MY"));
    let told = of(&other);
    assert_eq!((told.explained_bytes, told.bytes), (45, 47));
    assert!(!holds(&told), "{told:?}");
    let mut same = honest();
    same.insert(4, segment(HOME, (4000, 443), BASE.wrapping_add(16), false, b"a "));
    assert!(holds(&of(&same)));
}

#[test]
fn each_kind_of_leak_is_seen() {
    let leak = |frame: Vec<u8>| of(&[honest(), vec![frame]].concat());
    let sound = [7u8; 320];
    let leaks = [
        leak(segment(AWAY, (4001, 443), 5, true, &[])),
        leak(segment(HOME, (4001, 9999), 5, true, &[])),
        leak(datagram(HOME, 443, &sound)),
        leak(datagram(HOME, 53, b"736f756e64.tunnel.example")),
        // The question that was asked, once more.
        leak(datagram(HOME, 53, b"where is home")),
        leak(segment(HOME, (4000, 443), BASE.wrapping_add(33), false, &sound)),
        // Instead of what was sent before, where only the receiver's system would notice.
        leak(segment(HOME, (4000, 443), BASE.wrapping_add(8), false, b"THIS is ")),
        // Another connection to the right address, which is not in the ledger.
        leak(segment(HOME, (4002, 443), 5, true, &[])),
    ];
    for (number, leak) in leaks.iter().enumerate() {
        assert!(!holds(leak) && leak.unexplained_packets > 0, "{number}: {leak:?}");
    }
    assert_eq!(leaks[5].unexplained.values().map(|strange| strange.bytes).sum::<u64>(), 320);
    // Instead of what the ledger says.
    let mut other = honest();
    other[7] = segment(HOME, (4000, 443), BASE.wrapping_add(25), false, b"of MINE!");
    assert_eq!(of(&other).explained_bytes, 13 + 15);
    // A hole: what is behind it cannot be compared.
    let mut hole = honest();
    hole.remove(3);
    assert!(!holds(&of(&hole)));
}

#[test]
fn what_was_written_down_too_late_is_told() {
    let mut late = ledger();
    late[4].at = 60_000;
    let told = against(&honest(), &late);
    assert_eq!((told.late_bytes, told.explained_bytes), (17, 45));
    assert!(!holds(&told));
}

proptest! {
    /// Whatever is sent, no more is explained than was sent, and none of it where nothing is in the ledger.
    #[test]
    fn bytes_add_up(pieces in prop::collection::vec((0u32..60, 0usize..20, any::<bool>()), 0..12)) {
        let frame = |(at, length, home): &(u32, usize, bool)| {
            let to = if *home { HOME } else { AWAY };
            segment(to, (4000, 443), BASE.wrapping_add(*at), false, &vec![1; *length])
        };
        let frames: Vec<_> = pieces.iter().map(frame).collect();
        let all = of(&frames);
        prop_assert!(all.explained_bytes <= all.bytes);
        prop_assert_eq!(against(&frames, &[]).explained_bytes, 0);
    }
}
