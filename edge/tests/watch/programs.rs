//! The built program, replaced by others: by a newer one, by one that does nothing, and by one that was tampered with.

use std::path::PathBuf;

use volet_edge::program::Release;
use volet_federated::signing::{SigningKey, VerifyingKey};

use crate::camera::{Camera, Place};

const LAUNCH: [&str; 4] = ["--program", "programs", "--program-key", "etc/programs.pub"];

/// A camera that takes programs, by the key of their maker.
fn place() -> (Place, crate::feeder::Feeder, SigningKey) {
    let (place, feeder) = Place::new();
    let maker = SigningKey::from([7; 32]);
    let public = blake3::Hash::from_bytes(VerifyingKey::from(&maker).to_bytes()).to_string();
    std::fs::write(place.path("etc/programs.pub"), public).unwrap();
    feeder.feed(u64::MAX);
    (place, feeder, maker)
}

/// What a command says, and whether it succeeded.
fn program(place: &Place, arguments: &[&str]) -> (bool, String) {
    place.says(&[&["program"], arguments, &["--dir", "programs", "--key", "etc/programs.pub"]].concat())
}

/// Signs these bytes as a release and installs them.
fn install(place: &Place, maker: &SigningKey, bytes: &[u8], number: u64) -> (bool, String) {
    let release = Release::of(bytes, number, &format!("1.{number}")).unwrap().sign(maker).unwrap();
    std::fs::write(place.path("new"), bytes).unwrap();
    std::fs::write(place.path("new.release"), release).unwrap();
    program(place, &["install", "new", "new.release"])
}

/// This program, with something at its end that nothing reads.
fn another(number: u64) -> Vec<u8> {
    let mut bytes = std::fs::read(env!("CARGO_BIN_EXE_volet-edge")).unwrap();
    bytes.extend(number.to_le_bytes());
    bytes
}

fn executed(camera: &Camera) -> PathBuf {
    std::fs::read_link(format!("/proc/{}/exe", camera.id())).unwrap()
}

#[test]
fn a_newer_program_proves_itself_and_one_that_does_nothing_is_given_up() {
    let (place, _feeder, maker) = place();
    // Nothing is installed: the system's own program runs.
    let mut camera = place.start(&LAUNCH);
    camera.makes(1);
    assert_eq!(executed(&camera).file_name(), PathBuf::from(env!("CARGO_BIN_EXE_volet-edge")).file_name());
    camera.stop();

    let (installed, said) = install(&place, &maker, &another(5), 5);
    assert!(installed && said.contains("release 5 (1.5)"), "{said}");
    let mut camera = place.start(&LAUNCH);
    camera.hears("this becomes another program");
    camera.hears("this program proved itself");
    assert_eq!(executed(&camera), place.path("programs/slots/a").canonicalize().unwrap());
    // The next one is written beside it, while it runs.
    let nothing = std::fs::read("/bin/false").unwrap();
    let (installed, said) = install(&place, &maker, &nothing, 6);
    assert!(installed, "{said}");
    camera.makes(1);
    camera.stop();

    for _ in 0..3 {
        let (status, said) = place.start(&LAUNCH).ends();
        assert!(!status.success() && said.iter().any(|line| line.contains("release=6")), "{status}: {said:?}");
    }
    let mut camera = place.start(&LAUNCH);
    camera.hears("a program did not prove itself");
    camera.hears("release=5");
    camera.makes(1);
    camera.stop();
    let (_, said) = program(&place, &["show"]);
    assert!(said.contains("runs      release 5 (1.5)") && !said.contains("on trial"), "{said}");
    let (installed, said) = install(&place, &maker, &another(5), 5);
    assert!(!installed && said.contains("not newer than 5"), "{said}");
    // By hand, to what came with the system.
    let (_, said) = program(&place, &["back"]);
    assert!(said.contains("runs      what came with the system"), "{said}");
    let mut camera = place.start(&LAUNCH);
    camera.makes(1);
    assert!(!camera.stop().iter().any(|line| line.contains("becomes another")));
}

#[test]
fn what_its_maker_did_not_sign_is_neither_installed_nor_run() {
    let (place, _feeder, maker) = place();
    let (installed, said) = install(&place, &SigningKey::from([8; 32]), &another(5), 5);
    assert!(!installed && said.contains("is not signed by the key"), "{said}");
    let (installed, said) = program(&place, &["install", "new", "nowhere"]);
    assert!(!installed && said.contains("nowhere"), "{said}");
    assert!(install(&place, &maker, &another(5), 5).0);
    std::fs::write(place.path("new"), another(6)).unwrap();
    let (installed, said) = program(&place, &["install", "new", "new.release"]);
    assert!(!installed && said.contains("not the one that was signed"), "{said}");

    // Somebody writes into the slot.
    let slot = place.path("programs/slots/a");
    let mut bytes = std::fs::read(&slot).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&slot, bytes).unwrap();
    let mut camera = place.start(&LAUNCH);
    camera.hears("a program cannot be run");
    camera.makes(1);
    assert_ne!(executed(&camera), slot.canonicalize().unwrap());
    camera.stop();

    // What is known of the slots is lost: the system's runs, and says so.
    std::fs::write(place.path("programs/state/state"), "?").unwrap();
    let mut camera = place.start(&LAUNCH);
    camera.hears("the program that came with the system runs");
    camera.makes(1);
    camera.stop();
    let (told, said) = program(&place, &["show"]);
    assert!(!told && said.contains("make it anew"), "{said}");
}
