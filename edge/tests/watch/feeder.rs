//! A camera's sensor: a pipe into which frames are written whose every raw sample can be told.
//!
//! The left half of a frame is secret, and brighter than anything else; the right half is one shade, which counts the frames.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::fs::OFlags;

pub(crate) const WIDTH: usize = 64;
pub(crate) const HEIGHT: usize = 48;
pub(crate) const FRAME: usize = WIDTH * HEIGHT * 3 / 2;
/// Frames of a second.
pub(crate) const RATE: u64 = 10;
/// The shades that count.
pub(crate) const SHADES: u64 = 100;
pub(crate) const DARKEST: u8 = 40;
const SECRET: u8 = 200;

/// Covers the secret half and nothing else.
pub(crate) const CONFIG: &str = "[redaction]\nstyle = \"solid\"\nclasses = []\nzones = [[0.0, 0.0, 0.5, 1.0]]\n";

enum Word {
    Feed(u64),
    Close,
}

/// Writes frames as it is told to, and begins a new stream whenever whoever read has gone.
pub(crate) struct Feeder {
    path: PathBuf,
    words: SyncSender<Word>,
    fed: Arc<(Mutex<u64>, Condvar)>,
}

impl Feeder {
    /// Makes the pipe.
    pub(crate) fn new(path: &Path) -> Self {
        make(path);
        let (words, told) = sync_channel(64);
        let fed = Arc::new((Mutex::new(0), Condvar::new()));
        let (path, counted) = (path.to_owned(), fed.clone());
        // It may wait for a reader when the test ends, and ends with it.
        let pipe = path.clone();
        std::thread::spawn(move || feed(&pipe, &told, &counted));
        Self { path, words, fed }
    }

    /// Puts a new pipe in the old one's place. What a reader left in the old one when it was killed, a header and half a frame, is
    /// no sensor's doing, and must not come before what the next reader gets.
    pub(crate) fn renew(&self) {
        let new = self.path.with_extension("new");
        make(&new);
        // Wakes a feeder that waits for a reader; that there is none any more it hears when this is dropped.
        let old = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&self.path);
        std::fs::rename(&new, &self.path).unwrap();
        drop(old.unwrap());
    }

    /// Goes on for so many frames.
    pub(crate) fn feed(&self, frames: u64) {
        self.words.send(Word::Feed(frames)).unwrap();
    }

    /// The camera goes away after what it was told to feed.
    pub(crate) fn close(&self) {
        self.words.send(Word::Close).unwrap();
    }

    /// How many frames were taken until now.
    pub(crate) fn count(&self) -> u64 {
        *self.fed.0.lock().unwrap()
    }

    /// Waits until so many frames were taken in all.
    pub(crate) fn wait(&self, count: u64) {
        let (fed, more) = &*self.fed;
        let patience = Duration::from_secs(120);
        let (_fed, late) = more.wait_timeout_while(fed.lock().unwrap(), patience, |fed| *fed < count).unwrap();
        assert!(!late.timed_out(), "nobody took the frames");
    }
}

fn feed(path: &Path, told: &Receiver<Word>, counted: &(Mutex<u64>, Condvar)) {
    let number = AtomicU64::new(0);
    let mut pipe = None;
    for word in told {
        let Word::Feed(frames) = word else {
            pipe = None;
            continue;
        };
        for _ in 0..frames {
            let frame = frame(number.fetch_add(1, Ordering::Relaxed));
            loop {
                let open = pipe.take().map_or_else(|| open(path), Ok);
                let written = open.and_then(|mut pipe| pipe.write_all(&frame).map(|()| pipe));
                if let Ok(open) = written {
                    pipe = Some(open);
                    break;
                }
            }
            *counted.0.lock().unwrap() += 1;
            counted.1.notify_all();
        }
    }
}

fn make(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn open(path: &Path) -> std::io::Result<std::fs::File> {
    let mut pipe = OpenOptions::new().write(true).open(path)?;
    writeln!(pipe, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE}:1 Ip A1:1 C420jpeg")?;
    Ok(pipe)
}

/// A frame as the sensor sees it.
fn frame(number: u64) -> Vec<u8> {
    let shade = DARKEST + (number % SHADES) as u8;
    let mut bytes = b"FRAME\n".to_vec();
    for at in 0..WIDTH * HEIGHT {
        let noise = (at as u64).wrapping_mul(31).wrapping_add(number.wrapping_mul(17)) % 36;
        bytes.push(if at % WIDTH < WIDTH / 2 { SECRET + noise as u8 } else { shade });
    }
    for at in 0..WIDTH * HEIGHT / 2 {
        bytes.push(if at % (WIDTH / 2) < WIDTH / 4 { SECRET } else { 128 });
    }
    bytes
}
