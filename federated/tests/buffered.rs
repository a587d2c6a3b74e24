//! Buffered rounds by the built programs: one report of each camera, an independent helper, and `kill -9` of either side.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod house;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use house::{House, program, refused, said};
use volet_federated::client::{Credentials, Link, Plain};
use volet_federated::secagg::{Identity, Terms, ToServer, split};
use volet_federated::signing::SigningKey;

const SITES: u8 = 6;
const PARAMETERS: usize = 2000;

/// Starts the helper, and waits until it says so.
fn helper(house: &House) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volet-aggregator"));
    command.arg("--dir").arg(house.beside("helper")).args(["helper", "serve"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with("helping as "), "{line}");
    (child, lines)
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn reports_are_summed_by_two_parties_of_which_either_may_be_killed() {
    let house = House::new(
        PARAMETERS,
        &[("minimum = 6", "minimum = 4"), ("most = 8", "most = 6"), ("rounds = 12", "rounds = 2")],
    );
    let serving = house.serve();
    let camera_file = house.folder().join("camera.toml");
    let token = &house.tokens(1)[0];
    let arguments = ["helper", "init", "--camera", camera_file.to_str().unwrap(), "--minimum", "4", "--token", token];
    let lines = said(program(&house.beside("helper"), &arguments));
    refused(program(&house.beside("helper"), &arguments), "already");
    let (config, _) = lines.split_once("\n#").unwrap();
    let exchange = lines.lines().find_map(|line| line.strip_prefix("helper_key = \"")).unwrap().trim_end_matches('"');
    let exchange = *blake3::Hash::from_hex(exchange).unwrap().as_bytes();
    // The team changes its mind before anyone has come.
    serving.kill();
    let mut file = std::fs::OpenOptions::new().append(true).open(house.folder().join("config.toml")).unwrap();
    writeln!(file, "\n{config}").unwrap();
    let mut serving = house.serve();
    let (mut helping, mut answers) = helper(&house);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cameras: Vec<(SigningKey, Credentials, [u8; 64])> = house
        .tokens(6)
        .into_iter()
        .zip(1..)
        .map(|(token, n)| {
            let key = SigningKey::from([n; 32]);
            let enrolled = runtime.block_on(async {
                let link =
                    Link::new(house.camera.aggregator.clone(), &house.camera.authority, None, Arc::new(Plain)).unwrap();
                link.enrol(&token, &key).await.unwrap()
            });
            (key, enrolled.0, enrolled.1)
        })
        .collect();
    for round in 1..=2 {
        for (n, (key, own, enrolment)) in cameras.iter().enumerate() {
            if n == 3 {
                // Half of the reports have been taken.
                serving.kill();
                serving = house.serve();
            }
            if n == 4 {
                kill(helping);
                (helping, answers) = helper(&house);
            }
            runtime.block_on(async {
                let link =
                    Link::new(house.camera.aggregator.clone(), &house.camera.authority, Some(own), Arc::new(Plain))
                        .unwrap();
                let terms = loop {
                    let told = link.check_in(Some(0)).await.unwrap().round;
                    let terms = told.map(|terms| Terms::try_from(terms).unwrap());
                    if let Some(terms) = terms.filter(|terms| terms.round().number() == round) {
                        break terms;
                    }
                };
                let identity = Identity::new(*key, *enrolment);
                let values = vec![n as i32 + round as i32; PARAMETERS];
                let report = split::report_unprotected(&terms, &identity, &exchange, &values).unwrap();
                link.say(terms.round(), ToServer::Split(report)).await.unwrap();
            });
        }
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        assert_eq!(line, format!("round {round}: the masks of 6 reports\n"));
    }
    let rounds: serde_json::Value = loop {
        let rounds: serde_json::Value = serde_json::from_str(&said(house.program(&["rounds", "--json"]))).unwrap();
        if rounds.as_array().unwrap().len() == 2 {
            break rounds;
        }
    };
    assert!(rounds.as_array().unwrap().iter().all(|round| round["contributors"] == 6 && round["failure"].is_null()));
    let models = said(house.program(&["models"]));
    let hash = models.lines().last().unwrap().split_whitespace().nth(1).unwrap();
    let learned = std::fs::read(house.folder().join("files").join(hash)).unwrap();
    let sum: i32 = (0..i32::from(SITES)).map(|n| 2 * n + 1 + 2).sum();
    let expected = f64::from(sum) / (f64::from(1 << 14) * 4.0);
    for word in learned.as_chunks::<4>().0 {
        assert!((f64::from(f32::from_le_bytes(*word)) - expected).abs() < 1e-7);
    }
    kill(helping);
}
