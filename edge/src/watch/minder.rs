//! Who looks after the service while it works: signals, the manager's watchdog, the end.
//!
//! A thread that wakes a few times a second and looks at flags and counters; it waits for nothing that the stages hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::manager::Manager;
use super::shared::Shared;
use crate::pipeline::{Gauge, Meter};

/// How often it looks.
const TICK: Duration = Duration::from_millis(100);
/// How often the manager is told what goes on.
const STATUS: Duration = Duration::from_secs(10);
/// How long a source may take to see that it is over, before the segment is ended without it.
const GRACE: Duration = Duration::from_secs(5);

/// What people and managers ask of the process by signals.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// To end, in order.
    pub stop: Arc<AtomicBool>,
    /// To read its settings anew.
    pub reload: Arc<AtomicBool>,
}

impl Asked {
    /// SIGTERM and SIGINT stop, and end the process when they come again; SIGHUP reloads.
    ///
    /// # Errors
    /// The system refused.
    pub fn by_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::flag::{register, register_conditional_shutdown};
        let asked = Self::default();
        for signal in [SIGTERM, SIGINT] {
            // Before the flag is set, so that it takes two.
            register_conditional_shutdown(signal, 130, asked.stop.clone())?;
            register(signal, asked.stop.clone())?;
        }
        register(SIGHUP, asked.reload.clone())?;
        Ok(asked)
    }
}

/// Whether the service lives.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    stages: [u64; 5],
    waits: u64,
}

impl Pulse {
    /// Whether every stage has got on since this was last so, or the service waited for its camera.
    pub(super) fn beats(&mut self, stages: [u64; 5], waits: u64) -> bool {
        let beats = waits != self.waits || stages.iter().zip(self.stages).all(|(now, then)| *now != then);
        if beats {
            *self = Self { stages, waits };
        }
        beats
    }
}

pub(super) struct Minder {
    pub(super) asked: Asked,
    pub(super) manager: Manager,
    pub(super) meter: Arc<Meter>,
    /// Steps of waiting for the camera.
    pub(super) waits: Arc<Gauge>,
    pub(super) segments: Shared,
    /// Reads the settings anew.
    pub(super) reload: Box<dyn Fn() + Send>,
    /// Set when the service has ended by itself.
    pub(super) done: Arc<AtomicBool>,
}

impl Minder {
    /// Goes on until the service has ended, or ends the process when that takes too long.
    pub(super) fn run(self) {
        let mut pulse = Pulse::default();
        let mut stopping: Option<Instant> = None;
        let now = Instant::now();
        let (mut alive, mut told) = (now, now);
        // Three signs of life where one would do.
        let every = self.manager.watchdog().map(|most| most / 3);
        self.manager.ready();
        while !self.done.load(Ordering::Acquire) {
            if every.is_some_and(|every| alive.elapsed() >= every) {
                if pulse.beats(self.meter.steps(), self.waits.steps()) {
                    self.manager.alive();
                }
                alive = Instant::now();
            }
            if told.elapsed() >= STATUS {
                self.segments.status().iter().for_each(|status| self.manager.status(status));
                told = Instant::now();
            }
            if self.asked.reload.swap(false, Ordering::AcqRel) {
                self.manager.reloading();
                (self.reload)();
                self.manager.ready();
            }
            if self.asked.stop.load(Ordering::Acquire) {
                let since = *stopping.get_or_insert_with(|| {
                    self.manager.stopping();
                    Instant::now()
                });
                if since.elapsed() >= GRACE {
                    // A camera that is silent would keep what was written before from getting its name.
                    self.segments.lock().close();
                    std::process::exit(0);
                }
            }
            std::thread::sleep(TICK);
        }
        // It may end between two looks.
        if stopping.is_none() {
            self.manager.stopping();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stage_that_stands_still_is_no_life() {
        let mut pulse = Pulse::default();
        assert!(!pulse.beats([0; 5], 0));
        assert!(pulse.beats([1; 5], 0));
        for stuck in 0..5 {
            let mut now = pulse.stages.map(|steps| steps + 7);
            now[stuck] = pulse.stages[stuck];
            assert!(!pulse.beats(now, 0), "stage {stuck}");
        }
        assert!(pulse.beats(pulse.stages, 1), "it waits for its camera");
        assert!(!pulse.beats(pulse.stages, 1));
        // Progress adds up over several looks.
        let [read, rest @ ..] = pulse.stages;
        assert!(!pulse.beats([read + 1, rest[0], rest[1], rest[2], rest[3]], 1));
        assert!(pulse.beats(pulse.stages.map(|steps| steps + 1), 1));
    }
}
