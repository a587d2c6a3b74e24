//! The team's own word on a model before it is released: a program that is given what was learned and prints a figure.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use super::config::Evaluate;

/// What the program says; `None` where it fails, says nothing, or takes too long. Where this machine had no room for it, it is
/// an error, to be tried again.
pub(super) fn evaluate(how: &Evaluate, learned: &[u8]) -> io::Result<Option<f64>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(learned)?;
    file.flush()?;
    let [program, arguments @ ..] = how.command.as_slice() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let child = Command::new(program)
        .args(arguments)
        .env("VOLET_LEARNED", file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied].contains(&error.kind()) => {
            tracing::warn!(%error, "the evaluation's program cannot be run");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let said = listen(child, Duration::from_secs(how.within_s)).and_then(|text| read(&text));
    Ok(said.inspect_err(|error| tracing::warn!(%error, "the evaluation says nothing")).ok())
}

fn listen(mut child: Child, within: Duration) -> io::Result<String> {
    let output = child.stdout.take();
    let (tell, told) = sync_channel(1);
    // What the program has left behind may hold its output open: nobody waits for this thread.
    thread::spawn(move || {
        let mut text = String::new();
        // More than this is no figure.
        let read = output.map(|output| output.take(1 << 20).read_to_string(&mut text));
        let _ = tell.send(read.transpose().map(|_| text));
    });
    let until = Instant::now() + within;
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
    told.recv_timeout(LAST_WORDS).map_err(|_| io::Error::other("its output does not end"))?
}

/// How long the output of a program that has ended may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

fn read(text: &str) -> io::Result<f64> {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let read: serde_json::Value = serde_json::from_str(line).map_err(io::Error::other)?;
    let quality = read.get("quality").and_then(serde_json::Value::as_f64).filter(|quality| quality.is_finite());
    quality.ok_or_else(|| io::Error::other("its last line holds no \"quality\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, within_s: u64) -> Option<f64> {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        evaluate(&Evaluate { command, within_s, at_least: None }, b"learned").unwrap()
    }

    #[test]
    fn a_program_says_how_good_a_model_is() {
        assert_eq!(shell("echo working; cat $VOLET_LEARNED >&2; echo '{\"quality\": 0.5}'", 600), Some(0.5));
        for silent in ["exit 1", "echo hello", "echo '{\"quality\": \"good\"}'", "echo '{\"quality\": 0.5}'; exit 1"] {
            assert_eq!(shell(silent, 600), None, "{silent}");
        }
        assert_eq!(shell("sleep 600", 0), None);
        let missing = Evaluate { command: vec!["/nowhere/program".to_owned()], within_s: 1, at_least: None };
        assert_eq!(evaluate(&missing, b"learned").unwrap(), None);
        // What it leaves behind does not keep anyone waiting for long.
        assert_eq!(shell("sleep 600 & echo '{\"quality\": 0.5}'", 600), None);
    }
}
