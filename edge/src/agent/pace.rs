//! How much of the device learning may take: `[learning]` in the owner's words, and whoever is asked before every step.
//!
//! Knows clocks and thermometers through [`Surroundings`] only, so that tests bring their own.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use toml::value::Datetime;

use super::talents::TalentError;

/// Why limits are none.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum LearningFileError {
    #[error("the limits of learning cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("[learning], {0}: a time of day is needed, as in 22:30:00")]
    Hours(&'static str),
    #[error("[learning], {0}: it must be above 0")]
    Zero(&'static str),
    #[error("[learning], celsius: degrees from 20 to 150 are meant")]
    Celsius,
}

/// What learning may take, at most. What is not said is as [`Default`] has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// The fewest lessons that are learned from; with fewer the camera sits rounds out.
    pub lessons: usize,
    /// Seconds from the beginning of one learning to its end, waiting for the device to cool among them.
    pub seconds: u64,
    /// Seconds of processor time for one learning, those of all cores together.
    pub cpu_seconds: u64,
    /// 2^20 bytes that stills may take in memory, with what the network makes of them.
    pub megabytes: u32,
    /// Degrees Celsius of the hottest sensor, above which learning waits.
    pub celsius: f32,
    /// When it may learn, by local time; at any time where not given.
    pub hours: Option<Hours>,
}

/// From one time of day to another, over midnight if need be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The first minute.
    pub from: Datetime,
    /// The first minute that is not among them any more.
    pub until: Datetime,
}

impl Default for Learning {
    fn default() -> Self {
        Self { lessons: 40, seconds: 3600, cpu_seconds: 1800, megabytes: 128, celsius: 80.0, hours: None }
    }
}

impl Learning {
    /// Reads a file with a section `[learning]`.
    ///
    /// # Errors
    /// A [`LearningFileError`].
    pub fn read(text: &str) -> Result<Self, LearningFileError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            learning: Learning,
        }
        let File { learning } = toml::from_str(text)?;
        learning.window()?;
        for (name, value) in [
            ("lessons", learning.lessons as u64),
            ("seconds", learning.seconds),
            ("cpu_seconds", learning.cpu_seconds),
            ("megabytes", learning.megabytes.into()),
        ] {
            if value == 0 {
                return Err(LearningFileError::Zero(name));
            }
        }
        if (20.0..=150.0).contains(&learning.celsius) { Ok(learning) } else { Err(LearningFileError::Celsius) }
    }

    /// The minutes of the day.
    fn window(&self) -> Result<Option<(u32, u32)>, LearningFileError> {
        let Some(hours) = &self.hours else { return Ok(None) };
        let minute = |name, at: &Datetime| {
            let time = at.time.filter(|_| at.date.is_none() && at.offset.is_none());
            time.map(|time| u32::from(time.hour) * 60 + u32::from(time.minute)).ok_or(LearningFileError::Hours(name))
        };
        Ok(Some((minute("hours.from", &hours.from)?, minute("hours.until", &hours.until)?)))
    }
}

/// What learning looks at while it goes on.
pub trait Surroundings: Send {
    /// Time since some moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// Processor time that this process has had.
    fn cpu(&self) -> Duration;
    /// The minute of the day by local time, 0 to 1439.
    fn minute(&self) -> u32;
    /// The hottest sensor, degrees Celsius; none where there is none.
    fn celsius(&self) -> Option<f32>;
    /// Does nothing for a while.
    fn wait(&self, so_long: Duration);
}

/// The device that this runs on.
pub struct Device {
    began: Instant,
    sensors: PathBuf,
}

impl Default for Device {
    fn default() -> Self {
        Self { began: Instant::now(), sensors: PathBuf::from("/sys/class/thermal") }
    }
}

impl Surroundings for Device {
    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn cpu(&self) -> Duration {
        cpu_time::ProcessTime::try_now().map_or(Duration::ZERO, |now| now.as_duration())
    }

    fn minute(&self) -> u32 {
        let now = jiff::Zoned::now();
        u32::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or(0)
    }

    fn celsius(&self) -> Option<f32> {
        hottest(&self.sensors)
    }

    fn wait(&self, so_long: Duration) {
        std::thread::sleep(so_long);
    }
}

/// The highest of `thermal_zone*/temp` in this folder, which are in thousandths of a degree.
fn hottest(sensors: &Path) -> Option<f32> {
    let zones = std::fs::read_dir(sensors).ok()?.filter_map(Result::ok);
    let zones = zones.filter(|zone| zone.file_name().to_string_lossy().starts_with("thermal_zone"));
    let read = |zone: std::fs::DirEntry| std::fs::read_to_string(zone.path().join("temp")).ok()?.trim().parse().ok();
    zones.filter_map(read).max().map(|thousandths: i32| thousandths as f32 / 1000.0)
}

/// Keeps learning within limits.
pub struct Pace {
    limits: Learning,
    around: Box<dyn Surroundings>,
}

/// One learning that goes on.
pub struct Going<'a> {
    pace: &'a Pace,
    elapsed: Duration,
    cpu: Duration,
    cooling: Cell<bool>,
    why: RefCell<String>,
}

/// How long a hot device is left alone before its thermometer is looked at again, and by how many degrees it has to cool.
const PAUSE: Duration = Duration::from_secs(10);
const COOLER: f32 = 5.0;

impl Pace {
    /// Within these limits.
    pub fn new(limits: Learning, around: Box<dyn Surroundings>) -> Self {
        Self { limits, around }
    }

    /// Begins a learning, if it is the time for one.
    ///
    /// # Errors
    /// [`TalentError::NotNow`].
    pub fn begin(&self) -> Result<Going<'_>, TalentError> {
        let Self { limits, around } = self;
        if let Some(why) = self.closed() {
            return Err(TalentError::NotNow(why));
        }
        if let Some(hot) = around.celsius().filter(|celsius| *celsius > limits.celsius) {
            return Err(TalentError::NotNow(format!(
                "the device has {hot:.0} degrees, and learns up to {}",
                limits.celsius
            )));
        }
        let (elapsed, cpu) = (around.elapsed(), around.cpu());
        Ok(Going { pace: self, elapsed, cpu, cooling: Cell::new(false), why: RefCell::default() })
    }

    /// Why this is not a time to learn.
    fn closed(&self) -> Option<String> {
        let (from, until) = self.limits.window().ok()??;
        let now = self.around.minute();
        let open = if from <= until { (from..until).contains(&now) } else { now >= from || now < until };
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        (!open).then(|| format!("it is {}, and learning is for {} to {}", clock(now), clock(from), clock(until)))
    }
}

impl Going<'_> {
    /// Whether to go on. Waits while the device is too hot.
    pub fn on(&self) -> bool {
        let Pace { limits, around } = self.pace;
        loop {
            let (took, cpu) = (around.elapsed().saturating_sub(self.elapsed), around.cpu().saturating_sub(self.cpu));
            let over = if took >= Duration::from_secs(limits.seconds) {
                Some(format!("learning took the {} seconds that it may", limits.seconds))
            } else if cpu >= Duration::from_secs(limits.cpu_seconds) {
                Some(format!("learning took the {} seconds of processor time that it may", limits.cpu_seconds))
            } else {
                self.pace.closed()
            };
            if let Some(why) = over {
                tracing::info!(%why, "learning ends");
                self.why.replace(why);
                return false;
            }
            let limit = if self.cooling.get() { limits.celsius - COOLER } else { limits.celsius };
            let hot = around.celsius().is_some_and(|celsius| celsius > limit);
            self.cooling.set(hot);
            if !hot {
                return true;
            }
            around.wait(PAUSE);
        }
    }

    /// Why it does not go on.
    pub fn why(&self) -> String {
        self.why.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A device whose time goes by when somebody looks at it, by so many seconds, and by waiting.
    #[derive(Clone, Default)]
    struct Fake {
        seconds: Arc<AtomicU64>,
        per_look: u64,
        cpu_per_second: u64,
        minute: u32,
        hot_until: u64,
        waits: Arc<AtomicU64>,
    }

    impl Surroundings for Fake {
        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.seconds.fetch_add(self.per_look, Ordering::Relaxed))
        }
        fn cpu(&self) -> Duration {
            Duration::from_secs(self.seconds.load(Ordering::Relaxed) * self.cpu_per_second)
        }
        fn minute(&self) -> u32 {
            (self.minute + (self.seconds.load(Ordering::Relaxed) / 60) as u32) % 1440
        }
        fn celsius(&self) -> Option<f32> {
            let now = self.seconds.load(Ordering::Relaxed);
            // It warms up after ten seconds, and is warm, then cool again.
            Some(if self.hot_until == 0 || now < 10 {
                40.0
            } else if now < self.hot_until {
                81.0
            } else if now < self.hot_until + 60 {
                78.0
            } else {
                70.0
            })
        }
        fn wait(&self, so_long: Duration) {
            self.waits.fetch_add(1, Ordering::Relaxed);
            self.seconds.fetch_add(so_long.as_secs(), Ordering::Relaxed);
        }
    }

    fn limits(text: &str) -> Learning {
        Learning::read(&format!("[learning]\n{text}")).unwrap()
    }

    /// Steps that a learning makes, and why it ends.
    fn steps(text: &str, fake: &Fake) -> (usize, String) {
        let pace = Pace::new(limits(text), Box::new(fake.clone()));
        let going = pace.begin().unwrap();
        let steps = (0..100_000).take_while(|_| going.on()).count();
        (steps, going.why())
    }

    #[test]
    fn seconds_of_the_clock_and_of_the_processor_end_it() {
        let fake = || Fake { per_look: 1, cpu_per_second: 3, ..Fake::default() };
        let (count, why) = steps("seconds = 100\ncpu_seconds = 1000", &fake());
        assert!((98..=100).contains(&count) && why.contains("100 seconds"), "{count} {why}");
        let (count, why) = steps("seconds = 1000\ncpu_seconds = 60", &fake());
        assert!((18..=20).contains(&count) && why.contains("processor"), "{count} {why}");
    }

    #[test]
    fn a_hot_device_waits_until_it_is_cooler_by_some_degrees() {
        let fake = Fake { per_look: 1, hot_until: 600, ..Fake::default() };
        let pace = Pace::new(limits("celsius = 80.0"), Box::new(fake.clone()));
        let going = pace.begin().unwrap();
        let on = (0..30).filter(|_| going.on()).count();
        // 650 seconds in steps of ten and the look that each takes, down to 70 degrees and not 78.
        let waits = fake.waits.load(Ordering::Relaxed);
        assert!(on == 30 && (55..=66).contains(&waits), "{on} {waits}");
        // One that stays hot ends by its time.
        let fake = Fake { per_look: 1, hot_until: 1_000_000, ..Fake::default() };
        let (count, why) = steps("seconds = 500", &fake);
        assert!(count < 12 && why.contains("500 seconds"), "{count} {why}");
        // And does not begin.
        let hot = Fake { seconds: Arc::new(20.into()), hot_until: 600, ..Fake::default() };
        let error = Pace::new(limits(""), Box::new(hot)).begin().err().unwrap();
        assert!(matches!(&error, TalentError::NotNow(why) if why.contains("81 degrees")), "{error}");
    }

    #[test]
    fn hours_are_kept_over_midnight_too() {
        let text = "hours = { from = 22:30:00, until = 06:00:00 }";
        for (minute, open) in [(22 * 60 + 29, false), (22 * 60 + 30, true), (0, true), (359, true), (360, false)] {
            let pace = Pace::new(limits(text), Box::new(Fake { minute, ..Fake::default() }));
            assert_eq!(pace.begin().is_ok(), open, "{minute}");
        }
        let fake = Fake { minute: 350, per_look: 60, ..Fake::default() };
        let (count, why) = steps(text, &fake);
        assert!((7..=10).contains(&count) && why.contains("22:30 to 06:00"), "{count} {why}");
        let day = "hours = { from = 09:00:00, until = 17:00:00 }";
        for (minute, open) in [(539, false), (540, true), (1019, true), (1020, false)] {
            let pace = Pace::new(limits(day), Box::new(Fake { minute, ..Fake::default() }));
            assert_eq!(pace.begin().is_ok(), open, "{minute}");
        }
    }

    #[test]
    fn the_hottest_of_all_sensors_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(hottest(&folder.path().join("nowhere")), None);
        assert_eq!(hottest(folder.path()), None);
        for (zone, text) in [
            ("thermal_zone0", "41200\n"),
            ("thermal_zone1", "67500\n"),
            ("thermal_zone2", "rubbish"),
            ("cooling", "99000"),
        ] {
            std::fs::create_dir(folder.path().join(zone)).unwrap();
            std::fs::write(folder.path().join(zone).join("temp"), text).unwrap();
        }
        std::fs::create_dir(folder.path().join("thermal_zone3")).unwrap();
        assert_eq!(hottest(folder.path()), Some(67.5));
    }

    #[test]
    fn what_are_no_limits_is_refused_by_name() {
        assert_eq!(limits(""), Learning::default());
        for (text, with) in [
            ("[learning]\nfrobnicate = 1", "frobnicate"),
            ("", "learning"),
            ("[learning]\nseconds = 0", "seconds"),
            ("[learning]\nmegabytes = 0", "megabytes"),
            ("[learning]\nlessons = 0", "lessons"),
            ("[learning]\ncelsius = 5.0", "celsius"),
            ("[learning]\ncelsius = nan", "celsius"),
            ("[learning]\nhours = { from = 2026-11-22, until = 06:00:00 }", "hours.from"),
            ("[learning]\nhours = { from = 06:00:00 }", "until"),
        ] {
            let error = Learning::read(text).unwrap_err().to_string();
            assert!(error.contains(with), "{text}: {error}");
        }
    }
}
