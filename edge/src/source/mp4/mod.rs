//! MP4 and MOV files with H.264. Samples are read one by one from where the index says they lie, so memory
//! does not grow with the video (but for the index itself, some ten bytes a frame).

mod index;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mp4_atom::{Colr, Matrix as Transform};

use crate::frame::{FramePool, Geometry, Matrix, Range, RawFrame};
use crate::source::fault::Fault;
use crate::source::h264::{self, Decode, Picture};
use crate::source::orient::{Orientation, oriented};
use crate::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo, buffered};
use index::{Sample, Samples, Track};

/// No picture of [`crate::frame::MAX_PIXELS`] compresses to more than it was.
const MAX_SAMPLE: u32 = 256 << 20;

/// Reads a movie from anything that can be read at any place.
pub struct Mp4<R> {
    reader: R,
    length: u64,
    track: Track,
    samples: Samples,
    decode: Decode,
    info: StreamInfo,
    sample: Vec<u8>,
    access_unit: Vec<u8>,
    first_pts: Option<i64>,
    last_time: Duration,
    index: u64,
    state: State,
}

enum State {
    Reading,
    /// All samples were fed; the fault, where one cut the stream off, is reported after the last picture.
    Draining(Option<Fault>),
}

pub(super) fn open(file: File, path: &Path) -> Result<Box<dyn Source>, Fault> {
    let length = file.metadata()?.len();
    let movie = Mp4::new(buffered(file), length)?;
    Ok(Box::new(Mp4File { path: path.to_path_buf(), movie }))
}

struct Mp4File {
    path: PathBuf,
    movie: Mp4<BufReader<File>>,
}

impl Source for Mp4File {
    fn info(&self) -> &StreamInfo {
        &self.movie.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        self.movie.next_frame(pool).map_err(|f| f.at(&self.path))
    }
}

impl<R: BufRead + Seek> Mp4<R> {
    /// Reads the index of a movie of `length` bytes and tries its first picture.
    ///
    /// # Errors
    /// It has no index, no video track, or one that is not decoded here ([`Fault::Unsupported`]).
    pub fn new(mut reader: R, length: u64) -> Result<Self, Fault> {
        let track = index::read(&mut reader, length)?;
        let mut samples = track.samples();
        let mut sample = Vec::new();
        let first = samples.next(&track, &mut reader, length)?;
        let first = first.ok_or_else(|| Fault::Corrupt("its video track is empty".into()))?;
        read_sample(&mut reader, length, first, &mut sample)?;
        let units = h264::nal_units(&sample, track.avcc.length_size)?;
        let in_band = || units.iter().copied().find(|u| h264::nal_type(u) == h264::SPS);
        let sps = track.avcc.sequence_parameter_sets.first().map(Vec::as_slice).or_else(in_band);
        let format = h264::parse_sps(sps.ok_or_else(|| Fault::Corrupt("its H.264 has no parameters".into()))?)?;
        let container = track.colr.as_ref().and_then(tags);
        let orientation = orientation(&track.matrix);
        let decode = decoder(&track, format.geometry, orientation)?;
        probe(&track, format.geometry, &units)?;
        let (count, rate) = track.count_and_rate();
        let fragmented = track.is_fragmented();
        let info = StreamInfo {
            kind: MediaKind::Mp4,
            geometry: oriented(format.geometry, orientation)?,
            color: h264::color(&format, container),
            rate: rate.or_else(|| track.default_rate()).unwrap_or(Rate::ASSUMED),
            frames: (!fragmented).then_some(count),
        };
        let samples = track.samples();
        Ok(Self {
            reader,
            length,
            track,
            samples,
            decode,
            info,
            sample,
            access_unit: Vec::new(),
            first_pts: None,
            last_time: Duration::ZERO,
            index: 0,
            state: State::Reading,
        })
    }

    /// What the index tells.
    pub fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// The next frame in presentation order.
    ///
    /// # Errors
    /// The file ends early or its index is damaged; all frames before were given.
    pub fn next_frame(&mut self, pool: &FramePool) -> Result<Next, Fault> {
        loop {
            while let Some(picture) = self.decode.pop() {
                if self.track.shown.contains(&picture.pts) {
                    return self.emit(picture);
                }
            }
            match &mut self.state {
                State::Draining(fault) => return fault.take().map_or(Ok(Next::End), Err),
                State::Reading => {
                    let fed = self.feed(pool);
                    if !matches!(fed, Ok(true)) {
                        self.decode.finish(pool);
                        self.state = State::Draining(fed.err());
                    }
                }
            }
        }
    }

    /// Feeds one sample; false at the end.
    fn feed(&mut self, pool: &FramePool) -> Result<bool, Fault> {
        let Some(sample) = self.samples.next(&self.track, &mut self.reader, self.length)? else {
            return Ok(false);
        };
        read_sample(&mut self.reader, self.length, sample, &mut self.sample)?;
        self.access_unit.clear();
        let access_unit = match h264::nal_units(&self.sample, self.track.avcc.length_size) {
            Ok(units) if units.is_empty() => Err("it is empty".to_owned()),
            Ok(units) => {
                h264::append_annex_b(units, &mut self.access_unit);
                Ok(&self.access_unit[..])
            }
            Err(fault) => Err(fault.to_string()),
        };
        self.decode.push(sample.pts, access_unit, pool);
        Ok(true)
    }

    fn emit(&mut self, picture: Picture) -> Result<Next, Fault> {
        let first = *self.first_pts.get_or_insert(picture.pts);
        let ticks = u128::try_from(picture.pts.saturating_sub(first)).unwrap_or(0);
        let nanos = ticks * 1_000_000_000 / u128::from(self.track.timescale);
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).max(self.last_time);
        self.last_time = time;
        let index = self.index;
        self.index += 1;
        match picture.samples {
            Ok(buffer) => Ok(Next::Frame(RawFrame::new(index, time, self.info.geometry, self.info.color, buffer)?)),
            Err(reason) => Ok(Next::Lost { index, time, reason }),
        }
    }
}

/// Reads a sample's bytes into `into`, which is cleared.
fn read_sample(reader: &mut (impl Read + Seek), length: u64, sample: Sample, into: &mut Vec<u8>) -> Result<(), Fault> {
    let end = sample.offset.saturating_add(u64::from(sample.size));
    if end > length {
        return Err(Fault::Corrupt(format!("it ends at byte {length} but its index goes to byte {end}")));
    }
    if sample.size > MAX_SAMPLE {
        return Err(Fault::Corrupt(format!("a picture claims {} MB", sample.size >> 20)));
    }
    into.clear();
    // A relative seek keeps what is buffered.
    let here = reader.stream_position()?;
    reader.seek_relative(sample.offset.wrapping_sub(here).cast_signed())?;
    reader.take(u64::from(sample.size)).read_to_end(into)?;
    if into.len() != sample.size as usize {
        return Err(Fault::Corrupt("it became shorter while it was read".into()));
    }
    Ok(())
}

fn decoder(track: &Track, coded: Geometry, orientation: Orientation) -> Result<Decode, Fault> {
    let mut decode = Decode::new(coded, orientation)?;
    let mut parameters = Vec::new();
    let sets = track.avcc.sequence_parameter_sets.iter().chain(&track.avcc.picture_parameter_sets);
    h264::append_annex_b(sets.map(Vec::as_slice), &mut parameters);
    if !parameters.is_empty() {
        decode.configure(&parameters)?;
    }
    Ok(decode)
}

/// Whether the first picture decodes: if not, another decoder should have the file.
fn probe(track: &Track, coded: Geometry, units: &[&[u8]]) -> Result<(), Fault> {
    let mut decode = decoder(track, coded, Orientation::NoTransforms)?;
    let mut access_unit = Vec::new();
    h264::append_annex_b(units.iter().copied(), &mut access_unit);
    let pool = FramePool::new();
    decode.push(0, Ok(&access_unit), &pool);
    decode.finish(&pool);
    match decode.pop().map(|p| p.samples) {
        Some(Err(reason)) => {
            Err(Fault::Unsupported(format!("H.264 that the built-in decoder cannot decode ({reason})")))
        }
        _ => Ok(()),
    }
}

/// How the track's matrix turns the picture; what is no quarter turn or mirror image is left alone.
fn orientation(matrix: &Transform) -> Orientation {
    let sign = |v: i32| v.signum();
    match (sign(matrix.a), sign(matrix.b), sign(matrix.c), sign(matrix.d)) {
        (0, 1, -1, 0) => Orientation::Rotate90,
        (-1, 0, 0, -1) => Orientation::Rotate180,
        (0, -1, 1, 0) => Orientation::Rotate270,
        (-1, 0, 0, 1) => Orientation::FlipHorizontal,
        (1, 0, 0, -1) => Orientation::FlipVertical,
        (0, 1, 1, 0) => Orientation::Rotate90FlipH,
        (0, -1, -1, 0) => Orientation::Rotate270FlipH,
        _ => Orientation::NoTransforms,
    }
}

/// The container's colour tags.
fn tags(colr: &Colr) -> Option<(Option<Matrix>, Range)> {
    match colr {
        Colr::Nclx { matrix_coefficients, full_range_flag, .. } => {
            let range = if *full_range_flag { Range::Full } else { Range::Limited };
            Some((h264::matrix(*matrix_coefficients), range))
        }
        Colr::Nclc { matrix_coefficients, .. } => Some((h264::matrix(*matrix_coefficients), Range::Limited)),
        _ => None,
    }
}
