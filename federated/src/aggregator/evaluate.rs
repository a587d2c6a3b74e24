//! The team's own word on a model before it is released: a program that is given what was learned and prints a figure.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::config::Evaluate;

/// What the program says; `None` where it fails, says nothing, or takes too long.
pub(super) fn evaluate(how: &Evaluate, learned: &[u8]) -> Option<f64> {
    match run(how, learned) {
        Ok(quality) => Some(quality),
        Err(error) => {
            tracing::warn!(%error, "the evaluation says nothing");
            None
        }
    }
}

fn run(how: &Evaluate, learned: &[u8]) -> io::Result<f64> {
    let path = std::env::temp_dir().join(format!("volet-learned-{}", blake3::hash(learned).to_hex()));
    std::fs::write(&path, learned)?;
    let answer = ask(how, &path);
    let _ = std::fs::remove_file(path);
    let answer = answer?;
    let line = answer.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let read: serde_json::Value = serde_json::from_str(line).map_err(io::Error::other)?;
    let quality = read.get("quality").and_then(serde_json::Value::as_f64).filter(|quality| quality.is_finite());
    quality.ok_or_else(|| io::Error::other("its last line holds no \"quality\""))
}

fn ask(how: &Evaluate, learned: &std::path::Path) -> io::Result<String> {
    let [program, arguments @ ..] = how.command.as_slice() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut child = Command::new(program)
        .args(arguments)
        .env("VOLET_LEARNED", learned)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        // More than this is no figure.
        let read = output.map(|output| output.take(1 << 20).read_to_string(&mut text));
        read.transpose().map(|_| text)
    });
    let until = Instant::now() + Duration::from_secs(how.within_s);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the program took longer than within_s"));
        }
        thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        return Err(io::Error::other(format!("the program ended with {status}")));
    }
    reader.join().map_err(|_| io::Error::other("its output could not be read"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, within_s: u64) -> Option<f64> {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        evaluate(&Evaluate { command, within_s, at_least: None }, b"learned")
    }

    #[test]
    fn a_program_says_how_good_a_model_is() {
        assert_eq!(shell("echo working; cat $VOLET_LEARNED >&2; echo '{\"quality\": 0.5}'", 600), Some(0.5));
        for silent in ["exit 1", "echo hello", "echo '{\"quality\": \"good\"}'", "echo '{\"quality\": 0.5}'; exit 1"] {
            assert_eq!(shell(silent, 600), None, "{silent}");
        }
        assert_eq!(shell("sleep 600", 0), None);
        let missing = Evaluate { command: vec!["/nowhere/program".to_owned()], within_s: 1, at_least: None };
        assert_eq!(evaluate(&missing, b"learned"), None);
    }
}
