//! The camera's agent against a real aggregator over TLS: as a library with talents of its own, and as the built
//! program with `kill -9`.

#![cfg(all(unix, feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod buffer;
#[cfg(target_os = "linux")]
#[path = "../memory/group.rs"]
mod group;
mod house;
#[cfg(target_os = "linux")]
mod memory;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use tokio::sync::watch;
use volet_edge::agent::{Agent, Event, Judge, Learner, Status, TalentError, Talents, agree, make_owner, status};
use volet_edge::models::builtin;
use volet_edge::sandbox::{Aspect, Mode, Report};
use volet_federated::accounting::Delta;
use volet_federated::aggregator::Serving;
use volet_federated::budget::LineageId;
use volet_federated::lineage::Lineage;
use volet_federated::signing::SigningKey;
use volet_federated::task::Task;
use volet_federated::{ClipNorm, CohortSize, RoundId};
use volet_proto::v1;

use house::{Aggregator, Alter, MODEL, PARAMETERS, POLICY, enrolled, program, refused, said};

/// Learns the same every time.
struct Always(f32);

impl Learner for Always {
    fn update(&mut self, active: &[f32], _: RoundId) -> Result<Vec<f32>, TalentError> {
        Ok(vec![self.0; active.len()])
    }
}

/// Judges by a function.
struct By<F>(F);

impl<F: FnMut(&[f32]) -> f64 + Send + 'static> Judge for By<F> {
    fn judge(&mut self, learned: &[f32]) -> Result<f64, TalentError> {
        Ok((self.0)(learned))
    }
}

fn quality(learned: &[f32]) -> f64 {
    learned.iter().map(|value| f64::from(*value)).sum()
}

fn talents(judge: impl FnMut(&[f32]) -> f64 + Send + 'static) -> Talents {
    Talents { parameters: PARAMETERS, learner: Some(Box::new(Always(0.1))), judge: Box::new(By(judge)) }
}

fn status_of(folder: &Path) -> Status {
    status(folder, Delta::new(1e-6).unwrap()).unwrap()
}

fn unaltered(_: &SigningKey, task: v1::SignedTask) -> v1::SignedTask {
    task
}

/// Lets a camera work until it was refused something, and then for three more check-ins.
fn works_until_refused(aggregator: &Aggregator, folder: &Path) -> Status {
    let (seen, mut refused) = watch::channel(false);
    let tell = move |event: &Event| {
        if matches!(event, Event::Refused(..)) {
            assert!(!seen.send_replace(true), "it refuses once: {event:?}");
        }
    };
    aggregator.runtime.block_on(async {
        let mut agent = Agent::open(folder, talents(quality), Box::new(tell)).unwrap();
        let mut check_ins = aggregator.desk.check_ins.subscribe();
        let stop = async {
            refused.wait_for(|seen| *seen).await.unwrap();
            let now = *check_ins.borrow();
            check_ins.wait_for(|count| *count > now + 3).await.unwrap();
        };
        agent.run(None, stop).await.unwrap();
    });
    status_of(folder)
}

/// Lets a camera without a part in rounds follow releases up to this one.
fn follow(aggregator: &Aggregator, folder: &Path, release: u64) -> Vec<Event> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = events.clone();
    aggregator.runtime.block_on(async {
        let tell = move |event: &Event| kept.lock().unwrap().push(event.clone());
        let mut agent = Agent::open(folder, talents(quality), Box::new(tell)).unwrap();
        // The release is there a moment after the round is over.
        for _ in 0..200 {
            agent.run(Some(0), std::future::pending()).await.unwrap();
            if status_of(folder).latest_release == release {
                return;
            }
        }
        panic!("release {release} did not come");
    });
    std::mem::take(&mut *events.lock().unwrap())
}

#[test]
fn cameras_learn_together_and_use_what_they_learned() {
    let aggregator = Aggregator::start(PARAMETERS, MODEL, 3, unaltered);
    let folders = ["a", "b", "c"].map(|name| aggregator.enrol(name, POLICY));
    let judged = Arc::new(Mutex::new(Vec::new()));
    aggregator.runtime.block_on(async {
        let mut cameras = tokio::task::JoinSet::new();
        for (folder, camera) in folders.clone().into_iter().zip(0..) {
            let judged = judged.clone();
            // To the third, all that differs from the first model is worse.
            let judge = move |learned: &[f32]| {
                if camera == 2 {
                    judged.lock().unwrap().push(quality(learned));
                    -quality(learned).abs()
                } else {
                    quality(learned)
                }
            };
            let mut agent = Agent::open(&folder, talents(judge), Box::new(|_| {})).unwrap();
            cameras.spawn(async move { agent.run(Some(3), std::future::pending()).await });
        }
        while let Some(done) = cameras.join_next().await {
            done.unwrap().unwrap();
        }
    });
    let rounds = aggregator.desk.book.rounds().unwrap();
    assert!(rounds.iter().all(|round| round.contributors == Some(3) && round.failure.is_none()), "{rounds:?}");
    for folder in &folders[..2] {
        follow(&aggregator, folder, 3);
        let status = status_of(folder);
        assert_eq!((status.release, status.rounds, status.refusals.len()), (3, 3, 0), "{status:?}");
        assert_eq!(status.used.last().map(|used| used.release), Some(3), "{status:?}");
        let budget = status.budget.unwrap();
        assert!(budget.spent > 600.0 && budget.spent == budget.lifetime_spent && budget.left > 0.0, "{budget:?}");
        // Three rounds of 0.1 by everyone, and little noise.
        let learned = std::fs::read(folder.join(format!("model/model-{}", status.model))).unwrap();
        let learned: Vec<f32> = learned.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let mean = quality(&learned) / PARAMETERS as f64;
        assert!((mean - 0.3).abs() < 0.04, "{mean}");
        assert!(std::fs::read_dir(folder.join("round")).unwrap().all(|entry| entry.unwrap().file_name() == "lock"));
        assert!(!folder.join("agent/task").exists());
    }
    // The third took part as the others did, and keeps its old model; each release was judged once.
    let third = status_of(&folders[2]);
    assert_eq!((third.release, third.rounds, third.model), (0, 3, blake3::hash(MODEL).to_string()));
    assert!(!third.refusals.is_empty() && third.refusals.iter().all(|refused| refused.why.contains("worse")));
    let candidates = judged.lock().unwrap().iter().filter(|quality| **quality != 0.0).count();
    assert_eq!(candidates, third.refusals.len());

    // A download that was cut off is gone on with; one of something else is begun again.
    let hash = status_of(&folders[0]).model;
    let whole = std::fs::read(folders[0].join(format!("model/model-{hash}"))).unwrap();
    let mut wrong = whole.clone();
    wrong[3] ^= 1;
    for (name, partial, fails) in [("d", &whole[..77], false), ("e", &whole[..], false), ("f", &wrong[..], true)] {
        let folder = aggregator.enrol(name, POLICY);
        std::fs::write(folder.join(format!("model/partial-{hash}")), partial).unwrap();
        let events = follow(&aggregator, &folder, 3);
        assert_eq!(events.iter().any(|event| matches!(event, Event::Fails(_))), fails, "{events:?}");
        assert!(events.contains(&Event::Uses(3)), "{events:?}");
        assert_eq!(std::fs::read(folder.join(format!("model/model-{hash}"))).unwrap(), whole);
    }
}

/// Says that it learns, and the first time goes on when it is told to.
struct Slow(mpsc::Sender<()>, Option<mpsc::Receiver<()>>);

impl Learner for Slow {
    fn update(&mut self, active: &[f32], _: RoundId) -> Result<Vec<f32>, TalentError> {
        self.0.send(()).unwrap();
        if let Some(go) = self.1.take() {
            go.recv().unwrap();
        }
        Ok(vec![0.1; active.len()])
    }
}

#[test]
fn consent_withdrawn_while_a_camera_learns_costs_it_that_learning_and_no_more() {
    let aggregator = Aggregator::start(PARAMETERS, MODEL, 1, unaltered);
    let folders = ["a", "b", "c"].map(|name| aggregator.enrol(name, POLICY));
    let (learns, learning) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    let (silent, mut silence) = watch::channel(false);
    let owner = folders[2].clone();
    aggregator.runtime.block_on(async {
        let mut cameras = tokio::task::JoinSet::new();
        let [a, b, c] = folders;
        for folder in [a, b] {
            let mut agent = Agent::open(&folder, talents(quality), Box::new(|_| {})).unwrap();
            cameras.spawn(async move { agent.run(Some(1), std::future::pending()).await });
        }
        let slow = Talents { learner: Some(Box::new(Slow(learns, Some(goes)))), ..talents(quality) };
        let tell = move |event: &Event| {
            if *event == Event::Silent {
                silent.send_replace(true);
            }
        };
        let mut agent = Agent::open(&c, slow, Box::new(tell)).unwrap();
        cameras.spawn(async move { agent.run(Some(1), std::future::pending()).await });
        let learning = tokio::task::spawn_blocking(move || learning.recv().map(|()| learning)).await.unwrap().unwrap();
        agree(&owner, Some(false), None, None).unwrap();
        silence.wait_for(|silent| *silent).await.unwrap();
        agree(&owner, Some(true), None, None).unwrap();
        go.send(()).unwrap();
        let all = async {
            while let Some(done) = cameras.join_next().await {
                done.unwrap().unwrap()
            }
        };
        let all = tokio::time::timeout(std::time::Duration::from_secs(300), all).await;
        all.expect("the third camera takes part in no round any more");
        assert_eq!(learning.try_iter().count(), 1, "it learned anew");
    });
    assert_eq!(status_of(&owner).rounds, 1);
}

#[test]
fn what_the_owner_does_not_allow_is_refused_and_costs_nothing() {
    let aggregator = Aggregator::start(PARAMETERS, MODEL, 3, unaltered);
    let other = "09".repeat(32);
    for (name, policy, with) in [
        ("clip", POLICY.replace("smallest", "largest_clip = 0.5\nsmallest"), "clip norm"),
        ("cohort", POLICY.replace("smallest_cohort = 3", "smallest_cohort = 4"), "smallest number of sites"),
        ("bits", POLICY.replace("smallest", "security_bits = 81\nsmallest"), "security in bits"),
        ("budget", POLICY.replace("lineage = 1300", "lineage = 4"), "costs rho"),
        ("day", POLICY.replace("smallest", "last_day = 2020-01-01\nsmallest"), "the policy ended"),
        ("lineage", POLICY.replace("smallest", &format!("lineages = [{other:?}]\nsmallest")), "allows neither"),
    ] {
        let status = works_until_refused(&aggregator, &aggregator.enrol(name, &policy));
        let why = &status.refusals[0].why;
        assert!(status.refusals.len() == 1 && why.contains(with), "{name}: {why}");
        assert_eq!((status.rounds, status.budget.unwrap().lifetime_spent), (0, 0.0), "{name}");
    }
}

/// A task as the team might have signed it.
fn resigned(team: &SigningKey, task: &v1::SignedTask, change: impl FnOnce(&mut Task)) -> v1::SignedTask {
    let mut task = Task::verify(task, &team.into()).unwrap();
    change(&mut task);
    task.sign(team)
}

#[test]
fn tasks_that_are_not_the_team_s_or_not_this_camera_s_are_refused() {
    let cases: [(Alter, &str); 5] = [
        (|team, task| Task::verify(&task, &team.into()).unwrap().sign(&SigningKey::from([7; 32])), "not signed"),
        (|team, task| resigned(team, &task, |t| t.lineage = LineageId::from_bytes([9; 32])), "lineage"),
        (|team, task| resigned(team, &task, |t| t.parameters = 49), "length"),
        (|team, task| resigned(team, &task, |t| t.minimum = CohortSize::new(4).unwrap()), "smallest number of sites"),
        (|team, task| resigned(team, &task, |t| t.clip = ClipNorm::new(9.0).unwrap()), "clip norm"),
    ];
    for (alter, with) in cases {
        let aggregator = Aggregator::start(PARAMETERS, MODEL, 3, alter);
        let status = works_until_refused(&aggregator, &aggregator.enrol("a", POLICY));
        let why = &status.refusals[0].why;
        assert!(status.refusals.len() == 1 && why.contains(with), "{with}: {why}");
        assert_eq!((status.rounds, status.budget.unwrap().lifetime_spent), (0, 0.0), "{with}");
    }
}

#[test]
fn releases_that_are_not_the_team_s_or_do_not_fit_are_refused() {
    let aggregator = Aggregator::start(PARAMETERS, MODEL, 3, unaltered);
    // No task is allowed here: what is refused is the release.
    let (_, first) = aggregator.desk.book.release().unwrap();
    let team = aggregator.desk.team;
    let next = |model: [u8; 32], size| Lineage::of(&first, (&team).into()).unwrap().next(model, "x".into(), size, 1);
    for (name, signed, with) in [
        ("stranger", next([1; 32], 200).sign(&SigningKey::from([7; 32])).unwrap(), "not signed"),
        ("size", next([1; 32], 201).sign(&team).unwrap(), "201 bytes"),
    ] {
        let folder = aggregator.enrol(name, POLICY);
        *aggregator.desk.release.lock().unwrap() = Some((1, signed));
        let events = aggregator.runtime.block_on(async {
            let events = Arc::new(Mutex::new(Vec::new()));
            let kept = events.clone();
            let tell = move |event: &Event| kept.lock().unwrap().push(event.clone());
            let mut agent = Agent::open(&folder, talents(quality), Box::new(tell)).unwrap();
            for _ in 0..3 {
                agent.run(Some(0), std::future::pending()).await.unwrap();
            }
            std::mem::take(&mut *events.lock().unwrap())
        });
        assert!(matches!(&events[..], [Event::Refused(_, why)] if why.contains(with)), "{events:?}");
        assert_eq!(status_of(&folder).release, 0);
        *aggregator.desk.release.lock().unwrap() = None;
    }
}

fn agent(folder: &Path, rounds: u64) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volet-edge"));
    command.args(["agent", "--rehearse", "--rounds", &rounds.to_string(), "--dir"]).arg(folder);
    command.stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_killed_camera_goes_on_with_the_same_round_and_spends_it_once() {
    const ROUNDS: u64 = 3;
    let (_, model) = builtin::default_files();
    let aggregator = Aggregator::start(38_098, model, ROUNDS, unaltered);
    let folders = enrolled(&aggregator, &["a", "b", "c"]);
    let mut children: Vec<Child> = folders.iter().map(|folder| agent(folder, ROUNDS)).collect();
    let written = |folder: &Path| {
        let length = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
        length("round/log") + 1_000_000 * length("budget/ledger")
    };
    let (mut seen, mut kills) = ([0; 3], 0);
    let rounds = || aggregator.desk.book.rounds().unwrap().len() as u64;
    // Whenever a camera's round or ledger has changed it is killed, whatever it is doing then.
    while rounds() < ROUNDS {
        for (index, folder) in folders.iter().enumerate() {
            let now = written(folder);
            if now != seen[index] && kills < 40 {
                seen[index] = now;
                children[index].kill().unwrap();
                children[index].wait().unwrap();
                children[index] = agent(folder, ROUNDS);
                kills += 1;
            } else if children[index].try_wait().unwrap().is_some() {
                children[index] = agent(folder, ROUNDS);
            }
        }
        std::thread::yield_now();
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills > 8, "{kills}");
    let rounds = aggregator.desk.book.rounds().unwrap();
    assert!(rounds.iter().all(|round| round.contributors == Some(3) && round.failure.is_none()), "{rounds:?}");
    let each = volet_federated::NoiseMultiplier::new(0.05).unwrap().cost().unwrap();
    for folder in &folders {
        let ledger = volet_federated::budget::explain_unverified(&folder.join("budget")).unwrap();
        assert_eq!(ledger.rounds.len() as u64, ROUNDS);
        assert_eq!(ledger.lifetime.spent.trillionths(), ROUNDS * each.trillionths());
        let said = said(program(&["status", "--json", "--dir", folder.to_str().unwrap()]));
        let status: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&status["rounds"], status["identity"].as_str().unwrap().len()), (&ROUNDS.into(), 64));
        // It did all that while it was locked in as far as this kernel can.
        let report = std::fs::read(volet_edge::agent::sandbox_report(folder)).unwrap();
        let report: Report = serde_json::from_slice(&report).unwrap();
        assert_eq!(report.mode, Mode::Usual);
        let tcp = &report.claim(Aspect::Tcp).unwrap().says;
        assert!(cfg!(not(target_os = "linux")) || tcp.contains("TCP connections at port"), "{report:#?}");
    }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let (_, model) = builtin::default_files();
    let aggregator = Aggregator::start(38_098, model, 1, unaltered);
    let folder = &enrolled(&aggregator, &["a"])[0];
    let dir = folder.to_str().unwrap();
    // Its lock is what another process finds.
    let mut check_ins = aggregator.desk.check_ins.subscribe();
    let now = *check_ins.borrow();
    let mut first = agent(folder, 1);
    aggregator.runtime.block_on(async { check_ins.wait_for(|count| *count > now).await.map(drop) }).unwrap();
    refused(program(&["agent", "--rehearse", "--dir", dir]), "in use by another process");
    assert!(said(program(&["status", "--dir", dir])).contains("release 0"));
    first.kill().unwrap();
    first.wait().unwrap();

    let nowhere = aggregator.path("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for command in [&["agent", "--dir", nowhere][..], &["status", "--dir", nowhere]] {
        refused(program(command), "nowhere");
    }
    assert!(!Path::new(nowhere).exists(), "no folder is made by looking");
    let owner = aggregator.path("owner.key");
    refused(program(&["owner", "--out", owner.to_str().unwrap()]), "exists already");
    let camera = aggregator.path("camera.toml");
    let (camera, owner) = (camera.to_str().unwrap(), owner.to_str().unwrap());
    let enrol = |camera: &str, token: &str, owner: &str, more: &[&str]| {
        let basic = ["enrol", "--dir", nowhere, "--camera", camera, "--token", token, "--owner-key", owner];
        program(&[&basic[..], more].concat())
    };
    refused(enrol(camera, "no token", owner, &[]), "ask for another");
    refused(enrol("/nowhere/camera.toml", "x", owner, &[]), "/nowhere/camera.toml");
    refused(enrol(camera, "x", camera, &[]), "holds no signing key");
    refused(enrol(owner, "x", owner, &[]), "owner.key");
    let policy = aggregator.path("policy.toml");
    std::fs::write(&policy, "largest_clip = -1.0").unwrap();
    refused(enrol(camera, "x", owner, &["--policy", policy.to_str().unwrap()]), "largest_clip");
    // What was interrupted is finished, with the same key and under the policy that was named last.
    let token = aggregator.desk.book.token(1).unwrap();
    std::fs::write(&policy, POLICY).unwrap();
    said(enrol(camera, &token, owner, &["--policy", policy.to_str().unwrap()]));
    let ledger = volet_federated::budget::explain_unverified(&Path::new(nowhere).join("budget")).unwrap();
    assert_eq!((ledger.policy.version, ledger.policy.demands.minimum.get()), (2, 3), "the last policy holds");

    // Another policy is the same owner's, or none.
    let stranger = aggregator.path("stranger.key");
    make_owner(&stranger).unwrap();
    let replace = |owner: &str| {
        program(&["policy", "--dir", nowhere, "--owner-key", owner, "--policy", policy.to_str().unwrap()])
    };
    refused(replace(stranger.to_str().unwrap()), "not signed by this device's owner");
    assert!(said(replace(owner)).contains("version 3"));

    // A damaged ledger counts as spent; releases go on.
    std::fs::write(folder.join("budget/ledger"), b"rubbish").unwrap();
    assert!(said(program(&["status", "--dir", dir])).contains("damaged"));
    refused(program(&["--source", "/dev/null"]), "--out");
}
