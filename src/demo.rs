//! `volet` without a command: a synthetic clip through the whole pipeline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use volet_edge::batch::Input;
use volet_edge::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
use volet_edge::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo};
use volet_synthetic::Clip;

const SEED: u64 = 11;
const WIDTH: u32 = 960;
const HEIGHT: u32 = 540;
const FPS: u32 = 12;
const FRAMES: u32 = 60;

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let model = crate::models::open(None)?;
    let out = new_folder(Path::new("volet-out"))?;
    eprintln!("A synthetic clip of {} seconds, redacted and annotated into {}", FRAMES / FPS, out.display());
    eprintln!("(no real person is in it; `volet redact INPUT... --out DIR` does the same with your files)");
    let source = Synthetic::new()?;
    let inputs = vec![Input::Stream("synthetic clip".to_owned(), Box::new(source))];
    crate::redact::run_batch(inputs, Vec::new(), &out, &model, &crate::redact::default_options(&model), false)
}

/// The first of `base`, `base-2`, `base-3`, ... that does not exist.
fn new_folder(base: &Path) -> anyhow::Result<PathBuf> {
    for n in 1..10_000u32 {
        let path = if n == 1 { base.to_owned() } else { PathBuf::from(format!("{}-{n}", base.display())) };
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => {
                return Err(e).with_context(|| format!("cannot make {path:?}; go to a folder that you may write to"));
            }
        }
    }
    anyhow::bail!("there are too many folders {base:?}-N; remove some")
}

/// A clip of synthetic people as a camera would give it.
struct Synthetic {
    clip: Clip,
    info: StreamInfo,
    next: u32,
}

impl Synthetic {
    fn new() -> anyhow::Result<Self> {
        let info = StreamInfo {
            kind: MediaKind::Mp4,
            geometry: Geometry::new(PixelFormat::Rgb8, WIDTH, HEIGHT)?,
            color: Color::untagged(HEIGHT),
            rate: Rate { num: FPS, den: 1 },
            frames: Some(u64::from(FRAMES)),
        };
        Ok(Self { clip: Clip::new(SEED, WIDTH, HEIGHT, FPS, FRAMES), info, next: 0 })
    }
}

impl Source for Synthetic {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, _pool: &FramePool) -> Result<Next, SourceError> {
        if self.next >= self.clip.len() {
            return Ok(Next::End);
        }
        let index = u64::from(self.next);
        let rgb = self.clip.frame(self.next).image.into_raw();
        self.next += 1;
        RawFrame::new(index, self.info.rate.time_of(index), self.info.geometry, self.info.color, rgb)
            .map(Next::Frame)
            .map_err(|source| SourceError::Frame { path: PathBuf::from("synthetic clip"), source })
    }
}
