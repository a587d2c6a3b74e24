//! What learning looks at while it goes on: clocks and thermometers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::egress::Consent;

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
    /// Whether the owner agrees to learning.
    fn agreed(&self) -> bool {
        true
    }
}

/// The device that this runs on.
pub struct Device {
    began: Instant,
    sensors: PathBuf,
    state: PathBuf,
}

impl Device {
    /// The one whose owner says in this state folder what they agree to.
    pub fn of(state: &Path) -> Self {
        Self { began: Instant::now(), sensors: PathBuf::from("/sys/class/thermal"), state: state.to_owned() }
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

    fn agreed(&self) -> bool {
        Consent::read(&self.state).learning
    }
}

/// The highest of `thermal_zone*/temp` in this folder, which are in thousandths of a degree.
fn hottest(sensors: &Path) -> Option<f32> {
    let zones = std::fs::read_dir(sensors).ok()?.filter_map(Result::ok);
    let zones = zones.filter(|zone| zone.file_name().to_string_lossy().starts_with("thermal_zone"));
    let read = |zone: std::fs::DirEntry| std::fs::read_to_string(zone.path().join("temp")).ok()?.trim().parse().ok();
    zones.filter_map(read).max().map(|thousandths: i32| thousandths as f32 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
