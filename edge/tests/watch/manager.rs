//! A service manager that listens.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::camera::{Camera, Place};

struct Manager(UnixDatagram);

impl Manager {
    /// Waits for a word that begins so; the whole of it.
    fn hears(&self, what: &str) -> String {
        let mut words = [0; 4096];
        loop {
            let length = self.0.recv(&mut words).unwrap_or_else(|error| panic!("nobody said {what}: {error}"));
            let word = String::from_utf8(words[..length].to_vec()).unwrap();
            if word.starts_with(what) {
                return word;
            }
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods)] // the manager's end of it
fn the_service_manager_hears_how_it_goes() {
    let (place, feeder) = Place::new();
    let manager = Manager(UnixDatagram::bind(place.path("manager")).unwrap());
    manager.0.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
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
