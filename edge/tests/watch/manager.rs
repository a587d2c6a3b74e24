//! A service manager that listens.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::camera::{Camera, Place};

struct Manager(Receiver<String>);

impl Manager {
    #[allow(clippy::disallowed_methods)] // the manager's end of it
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        let (to, words) = channel();
        // Always listens, as a manager does: few words wait for one that does not.
        std::thread::spawn(move || {
            let mut word = [0; 4096];
            while let Ok(length) = socket.recv(&mut word) {
                let word = String::from_utf8(word[..length].to_vec()).unwrap();
                if to.send(word).is_err() {
                    return;
                }
            }
        });
        Self(words)
    }

    /// Waits for a word that begins so; the whole of it.
    fn hears(&self, what: &str) -> String {
        loop {
            let word = self.0.recv_timeout(Duration::from_secs(120));
            let word = word.unwrap_or_else(|error| panic!("nobody said {what}: {error}"));
            if word.starts_with(what) {
                return word;
            }
        }
    }
}

#[test]
fn the_service_manager_hears_how_it_goes() {
    let (place, feeder) = Place::new();
    let manager = Manager::new(&place.path("manager"));
    let mut command = place.command("1", &[]);
    command.env("NOTIFY_SOCKET", place.path("manager")).env("WATCHDOG_USEC", "900000");
    let mut camera = Camera::start(command);
    manager.hears("READY=1");
    feeder.feed(u64::MAX);
    camera.makes(1);
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");
    camera.signal(Signal::SIGHUP);
    let word = manager.hears("RELOADING=1\nMONOTONIC_USEC=");
    let micros: u64 = word.rsplit('=').next().unwrap().parse().unwrap();
    assert!(micros > 0);
    manager.hears("READY=1");
    let status = manager.hears("STATUS=segment");
    assert!(status.contains("MB written in this day"), "{status}");
    camera.stop();
    manager.hears("STOPPING=1");
}
