//! Whoever is asked before every step of learning whether there is still time, and whether the device is cool enough.
//!
//! Knows clocks and thermometers through [`Surroundings`] only, so that tests bring their own.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::limits::Learning;
use super::surroundings::Surroundings;
use super::talents::TalentError;

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
        if !self.around.agreed() {
            return Some("the owner does not agree to learning".to_owned());
        }
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
        self.within(1.0)
    }

    /// Whether to go on with what may take no more than a share of the time, from 0 to 1. Waits while the device is too hot.
    pub fn within(&self, share: f64) -> bool {
        let Pace { limits, around } = self.pace;
        let most = |seconds: u64| Duration::try_from_secs_f64(seconds as f64 * share).unwrap_or(Duration::MAX);
        loop {
            let (took, cpu) = (around.elapsed().saturating_sub(self.elapsed), around.cpu().saturating_sub(self.cpu));
            let over = if took >= most(limits.seconds) {
                Some(format!("learning took the {} seconds that it may", most(limits.seconds).as_secs()))
            } else if cpu >= most(limits.cpu_seconds) {
                let seconds = most(limits.cpu_seconds).as_secs();
                Some(format!("learning took the {seconds} seconds of processor time that it may"))
            } else {
                self.pace.closed()
            };
            if let Some(why) = over {
                tracing::info!(%why, share, "learning ends");
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
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A device whose time goes by when somebody looks at it, by so many seconds, and by waiting.
    #[derive(Clone, Default)]
    pub(in crate::agent) struct Fake {
        seconds: Arc<AtomicU64>,
        per_look: u64,
        cpu_per_second: u64,
        minute: u32,
        hot_until: u64,
        waits: Arc<AtomicU64>,
        disagrees_from: Option<u64>,
    }

    impl Fake {
        /// One whose time goes by when somebody looks at it, and that is never hot.
        pub(in crate::agent) fn ticking(per_look: u64) -> Self {
            Self { per_look, ..Self::default() }
        }
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
        fn agreed(&self) -> bool {
            self.disagrees_from.is_none_or(|from| self.seconds.load(Ordering::Relaxed) < from)
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
    fn what_may_take_a_share_leaves_the_rest_to_others() {
        let fake = Fake { per_look: 1, ..Fake::default() };
        let pace = Pace::new(limits("seconds = 100"), Box::new(fake));
        let going = pace.begin().unwrap();
        let mut first = 0;
        while going.within(0.25) {
            first += 1;
        }
        assert!((23..=25).contains(&first) && going.why().contains("25 seconds"), "{first} {}", going.why());
        let rest = (0..1000).take_while(|_| going.on()).count();
        assert!((73..=75).contains(&rest) && going.why().contains("100 seconds"), "{rest} {}", going.why());
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
    fn an_owner_who_no_longer_agrees_ends_it() {
        let fake = Fake { per_look: 1, disagrees_from: Some(7), ..Fake::default() };
        let (count, why) = steps("", &fake);
        assert!((5..=7).contains(&count) && why.contains("does not agree"), "{count} {why}");
        let error = Pace::new(limits(""), Box::new(fake)).begin().err().unwrap();
        assert!(matches!(error, TalentError::NotNow(_)), "{error}");
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
}
