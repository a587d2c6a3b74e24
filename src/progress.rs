//! The progress bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use volet_edge::batch::Event;

/// A bar of frames for one input, or of inputs for many.
pub(crate) struct Progress {
    bar: ProgressBar,
    inputs: u64,
}

impl Progress {
    /// `quiet`: draw nothing (problems are still printed).
    pub(crate) fn new(inputs: u64, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(inputs), target);
        let unit = if inputs == 1 { "frames" } else { "inputs" };
        let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, inputs }
    }

    pub(crate) fn on(&self, event: &Event<'_>) {
        match event {
            Event::Begun(name, frames) if self.inputs == 1 => {
                match frames {
                    Some(n) => self.bar.set_length(*n),
                    None => self.bar.unset_length(),
                }
                self.bar.set_message((*name).to_owned());
            }
            Event::Frames(n) if self.inputs == 1 => self.bar.inc(*n),
            Event::Begun(..) | Event::Frames(_) => {}
            Event::Done if self.inputs > 1 => self.bar.inc(1),
            Event::Done => {}
            Event::Problem(name, message) => {
                let line = if message.contains(name) { format!("volet: {message}") } else { format!("volet: {name}: {message}") };
                if self.bar.is_hidden() {
                    eprintln!("{line}");
                } else {
                    self.bar.println(line);
                }
            }
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
