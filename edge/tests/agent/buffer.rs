//! Cameras that learn from their buffers, as built programs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use volet_edge::learn::buffer::{Buffer, Limits, init_with};
use volet_edge::learn::{Label, Lesson, Source};
use volet_edge::models::{BBox, builtin};

use super::house::{Aggregator, enrolled, program, refused};
use super::unaltered;

/// A still of noise with a face in it.
fn lesson(seed: u32, (width, height): (u32, u32)) -> Lesson {
    let mut rgb = vec![0; (width * height * 3) as usize];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut rgb);
    let bbox = BBox::new(20.0, 10.0, 24.0, 30.0);
    let labels = vec![Label { class: 0, bbox, ignore: false, source: Source::Tracker }];
    Lesson { width, height, rgb, labels }
}

/// What the small ones measure.
const SMALL: (u32, u32) = (96, 64);

/// A buffer with this many lessons of a size that may be learned from; its folder and its owner's identity.
pub(super) fn buffer(parent: &Path, name: &str, size: (u32, u32), lessons: usize) -> (PathBuf, PathBuf) {
    let (dir, identity) = (parent.join(format!("{name}-buffer")), parent.join(format!("{name}-identity")));
    let model = builtin::default_model().unwrap();
    let classes = &model.manifest().classes;
    init_with(&dir, &identity, classes, Limits::default()).unwrap();
    let writer = Buffer::writer(&dir, classes).unwrap();
    let learned = (0..).filter(|seed| !writer.add(&lesson(*seed, size), None).unwrap().held_out).take(lessons);
    assert_eq!(learned.count(), lessons);
    (dir, identity)
}

fn agent(folder: &Path, lessons: &(PathBuf, PathBuf), limits: &Path) -> Child {
    begin(Command::new(env!("CARGO_BIN_EXE_volet-edge")), folder, lessons, limits)
}

/// Starts an agent for one round, by a command that wants its arguments.
pub(super) fn begin(mut program: Command, folder: &Path, (dir, identity): &(PathBuf, PathBuf), limits: &Path) -> Child {
    program
        .args(["agent", "--rounds", "1", "--dir"])
        .arg(folder)
        .arg("--buffer")
        .arg(dir)
        .arg("--buffer-identity")
        .arg(identity)
        .arg("--learning")
        .arg(limits)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a program says something with these words.
pub(super) fn says(child: &mut Child, with: &str) {
    let mut heard = Vec::new();
    for line in BufReader::new(child.stderr.as_mut().unwrap()).lines().map(Result::unwrap) {
        if line.contains(with) {
            return;
        }
        heard.push(line);
    }
    panic!("it never said {with:?}:\n{}", heard.join("\n"));
}

#[test]
fn cameras_learn_from_their_buffers_and_one_with_too_few_lessons_sits_out() {
    let (_, model) = builtin::default_files();
    let aggregator = Aggregator::start(38_098, model, 1, unaltered);
    let folders = enrolled(&aggregator, &["a", "b", "c", "poor", "late"]);
    let limits = aggregator.path("learning.toml");
    std::fs::write(&limits, "[learning]\nlessons = 4\nmegabytes = 16\ncelsius = 150.0\n").unwrap();
    let poor = buffer(&aggregator.path(""), "poor", SMALL, 3);
    let mut sits = agent(&folders[3], &poor, &limits);
    says(&mut sits, "sits round 1 out: 3 lessons are there to learn from, and 4 are due");

    // One that may not learn at this time of any day sits out too.
    let (never, rich) = (aggregator.path("never.toml"), buffer(&aggregator.path(""), "late", SMALL, 4));
    std::fs::write(&never, "[learning]\nlessons = 4\nhours = { from = 00:00:00, until = 00:00:00 }\n").unwrap();
    let mut late = agent(&folders[4], &rich, &never);
    says(&mut late, "learning is for 00:00 to 00:00");

    let mut cameras: Vec<Child> = ["a", "b", "c"]
        .iter()
        .zip(&folders)
        .map(|(name, folder)| agent(folder, &buffer(&aggregator.path(""), name, SMALL, 5), &limits))
        .collect();
    for camera in &mut cameras {
        says(camera, "took part in round 1");
        assert!(camera.wait().unwrap().success());
    }
    let spent = |folder: &Path| {
        let ledger = volet_federated::budget::explain_unverified(&folder.join("budget")).unwrap();
        (ledger.rounds.len(), ledger.lifetime.spent.trillionths() > 0)
    };
    assert!(folders[..3].iter().all(|folder| spent(folder) == (1, true)));
    for (mut child, folder) in [(sits, &folders[3]), (late, &folders[4])] {
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(spent(folder), (0, false), "a round that is sat out costs nothing");
    }

    // Whose identity it is, and who else may read it, is looked at before anything begins.
    let (dir, identity) = &rich;
    let [folder, dir, identity] = [&folders[4], dir, identity].map(|path| path.to_str().unwrap());
    let try_with = |identity| program(&["agent", "--dir", folder, "--buffer", dir, "--buffer-identity", identity]);
    refused(try_with(poor.1.to_str().unwrap()), "whose identity this is not");
    std::fs::set_permissions(identity, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    refused(try_with(identity), "chmod 600");
    refused(program(&["agent", "--dir", folder, "--buffer", dir]), "--buffer-identity");
}
