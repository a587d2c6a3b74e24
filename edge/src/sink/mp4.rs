//! H.264 in MP4. Pictures go to disk as they are encoded; the index (some ten bytes a frame) follows them.

use std::io::SeekFrom;
use std::time::Duration;

use mp4_atom::{
    Avc1, Avcc, Co64, Dinf, Dref, Encode as _, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mvhd, Stbl, Stco, Stsc, StscEntry,
    Stsd, Stss, Stsz, StszSamples, Stts, SttsEntry, Tkhd, Trak, Url, Visual, Vmhd,
};
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, RateControlMode, UsageType,
    VuiConfig,
};

use crate::frame::{Matrix, Range};
use crate::redact::Redacted;
use crate::sink::pixels::{I420, Scratch, encoded_color};
use crate::sink::{Encode, Fail, Out, SinkOptions};
use crate::source::StreamInfo;

/// What OpenH264 encodes at most, longer and shorter side.
const MAX_SIDES: (u32, u32) = (3840, 2160);
/// What it encodes at least: one macroblock.
const MIN_SIDE: u32 = 16;
/// A key frame at least this often, so that players can seek.
const KEY_FRAME_SECONDS: f64 = 4.0;
/// Ticks per second are at least this many, for streams whose frames do not come at a constant rate.
const MIN_TIMESCALE: u32 = 15_000;
/// Samples between two entries of the chunk table.
const CHUNK: usize = 32;

pub(super) struct Mp4 {
    encoder: Encoder,
    scratch: Scratch,
    size: (u32, u32),
    timescale: u32,
    frame_ticks: u32,
    mdat: u64,
    at: u64,
    sps: Vec<u8>,
    pps: Vec<u8>,
    sample: Vec<u8>,
    sizes: Vec<u32>,
    chunks: Vec<u64>,
    keys: Vec<u32>,
    durations: Vec<SttsEntry>,
    /// When the first frame was taken.
    first: Option<Duration>,
    last_tick: u64,
    ticks: u64,
}

impl Mp4 {
    pub(super) fn new(info: &StreamInfo, options: &SinkOptions, out: &mut dyn Out) -> Result<Self, Fail> {
        let geometry = info.geometry;
        if geometry.width() < MIN_SIDE || geometry.height() < MIN_SIDE {
            return Err(Fail::Encode(format!(
                "H.264 pictures have at least {MIN_SIDE}x{MIN_SIDE} pixels here, not {}x{}; write Y4M or Motion JPEG",
                geometry.width(),
                geometry.height()
            )));
        }
        let (long, short) = (geometry.width().max(geometry.height()), geometry.width().min(geometry.height()));
        if long > MAX_SIDES.0 || short > MAX_SIDES.1 {
            return Err(Fail::Encode(format!(
                "the built-in H.264 encoder takes at most {}x{}, not {}x{}; scale the video down first",
                MAX_SIDES.0,
                MAX_SIDES.1,
                geometry.width(),
                geometry.height()
            )));
        }
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config(info, options));
        let encoder = encoder.map_err(|e| Fail::Encode(format!("the H.264 encoder does not start: {e}")))?;
        let factor = MIN_TIMESCALE.div_ceil(info.rate.num.max(1));
        let (timescale, frame_ticks) = match info.rate.num.checked_mul(factor).zip(info.rate.den.checked_mul(factor)) {
            Some((scale, ticks)) if ticks > 0 => (scale.max(1), ticks),
            _ => (MIN_TIMESCALE, (f64::from(MIN_TIMESCALE) / info.rate.fps()).clamp(1.0, 1e9) as u32),
        };
        let mut head = Vec::new();
        let ftyp = Ftyp {
            major_brand: b"isom".into(),
            minor_version: 0x200,
            compatible_brands: [b"isom", b"iso2", b"avc1", b"mp41"].map(Into::into).to_vec(),
        };
        ftyp.encode(&mut head).map_err(muxing)?;
        let mdat = head.len() as u64;
        // A box with a 64-bit size, which is filled in at the end.
        head.extend_from_slice(&[0, 0, 0, 1, b'm', b'd', b'a', b't', 0, 0, 0, 0, 0, 0, 0, 0]);
        out.write_all(&head)?;
        Ok(Self {
            encoder,
            scratch: Scratch::default(),
            size: (geometry.width().next_multiple_of(2), geometry.height().next_multiple_of(2)),
            timescale,
            frame_ticks,
            mdat,
            at: head.len() as u64,
            sps: Vec::new(),
            pps: Vec::new(),
            sample: Vec::new(),
            sizes: Vec::new(),
            chunks: Vec::new(),
            keys: Vec::new(),
            durations: Vec::new(),
            first: None,
            last_tick: 0,
            ticks: 0,
        })
    }

    /// The time of a frame in ticks: its own, but later than the one before.
    fn tick(&self, time: Duration) -> u64 {
        let ticks = (time.as_nanos() * u128::from(self.timescale) + 500_000_000) / 1_000_000_000;
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
        if self.sizes.is_empty() { 0 } else { ticks.max(self.last_tick + 1) }
    }

    fn close_sample(&mut self, duration: u64) {
        let delta = u32::try_from(duration).unwrap_or(u32::MAX);
        self.ticks += u64::from(delta);
        match self.durations.last_mut() {
            Some(last) if last.sample_delta == delta => last.sample_count += 1,
            _ => self.durations.push(SttsEntry { sample_count: 1, sample_delta: delta }),
        }
    }

    fn index(&self) -> Moov {
        let (width, height) = self.size;
        let side = |v: u32| u16::try_from(v).unwrap_or(u16::MAX);
        let duration = |scale: u32| {
            u64::try_from(u128::from(self.ticks) * u128::from(scale) / u128::from(self.timescale)).unwrap_or(u64::MAX)
        };
        let avcc = Avcc {
            configuration_version: 1,
            avc_profile_indication: self.sps.get(1).copied().unwrap_or(0),
            profile_compatibility: self.sps.get(2).copied().unwrap_or(0),
            avc_level_indication: self.sps.get(3).copied().unwrap_or(0),
            length_size: 4,
            sequence_parameter_sets: vec![self.sps.clone()],
            picture_parameter_sets: vec![self.pps.clone()],
            ext: None,
        };
        let visual = Visual { data_reference_index: 1, width: side(width), height: side(height), ..Visual::default() };
        let long = self.chunks.last().is_some_and(|&o| u32::try_from(o).is_err());
        let short = || self.chunks.iter().filter_map(|&o| u32::try_from(o).ok()).collect();
        let stbl = Stbl {
            stsd: Stsd { codecs: vec![Avc1 { visual, avcc, ..Avc1::default() }.into()] },
            stts: Stts { entries: self.durations.clone() },
            stss: Some(Stss { entries: self.keys.clone() }),
            stsc: Stsc { entries: chunk_runs(self.sizes.len()) },
            stsz: Stsz { samples: StszSamples::Different { sizes: self.sizes.clone() } },
            stco: (!long).then(|| Stco { entries: short() }),
            co64: long.then(|| Co64 { entries: self.chunks.clone() }),
            ..Stbl::default()
        };
        let mdia = Mdia {
            mdhd: Mdhd { timescale: self.timescale, duration: self.ticks, language: "und".into(), ..Mdhd::default() },
            hdlr: Hdlr { handler: b"vide".into(), name: "video".into() },
            minf: Minf {
                vmhd: Some(Vmhd::default()),
                dinf: Dinf { dref: Dref { entries: vec![Url::default().into()] } },
                stbl,
                ..Minf::default()
            },
        };
        let tkhd = Tkhd {
            track_id: 1,
            duration: duration(1000),
            enabled: true,
            in_movie: true,
            width: side(width).into(),
            height: side(height).into(),
            ..Tkhd::default()
        };
        Moov {
            mvhd: Mvhd {
                timescale: 1000,
                duration: duration(1000),
                rate: 1.into(),
                volume: 1.into(),
                next_track_id: 2,
                ..Mvhd::default()
            },
            trak: vec![Trak { tkhd, mdia, ..Trak::default() }],
            ..Moov::default()
        }
    }
}

/// Measured fastest for a given quality: one thread, low complexity, no analysis before encoding.
fn config(info: &StreamInfo, options: &SinkOptions) -> EncoderConfig {
    let fps = info.rate.fps().clamp(1.0, 60.0);
    let config = EncoderConfig::new()
        .max_frame_rate(FrameRate::from_hz(fps as f32))
        .intra_frame_period(IntraFramePeriod::from_num_frames((fps * KEY_FRAME_SECONDS) as u32))
        .usage_type(UsageType::CameraVideoRealTime)
        .complexity(Complexity::Low)
        // Every frame that comes in goes out, whatever the bit rate.
        .skip_frames(false)
        .scene_change_detect(false)
        .adaptive_quantization(false)
        .background_detection(false)
        .num_threads(1)
        .vui(vui(info));
    match options.bitrate {
        Some(bits) => config.rate_control_mode(RateControlMode::Bitrate).bitrate(BitRate::from_bps(bits.max(10_000))),
        // Constant quality: OpenH264's own quantiser, 26.
        None => config.rate_control_mode(RateControlMode::Off),
    }
}

fn vui(info: &StreamInfo) -> VuiConfig {
    let color = encoded_color(info.geometry.format(), info.color, info.geometry.height());
    let base = match color.matrix {
        Matrix::Bt601 => VuiConfig::bt601(),
        Matrix::Bt709 => VuiConfig::bt709(),
    };
    base.full_range(color.range == Range::Full)
}

/// `samples` in chunks of [`CHUNK`], the last of which may be shorter.
fn chunk_runs(samples: usize) -> Vec<StscEntry> {
    let entry = |first: usize, count: usize| StscEntry {
        first_chunk: u32::try_from(first).unwrap_or(u32::MAX),
        samples_per_chunk: u32::try_from(count).unwrap_or(u32::MAX),
        sample_description_index: 1,
    };
    let (full, rest) = (samples / CHUNK, samples % CHUNK);
    let whole = (full > 0).then(|| entry(1, CHUNK));
    whole.into_iter().chain((rest > 0).then(|| entry(full + 1, rest))).collect()
}

fn muxing(error: mp4_atom::Error) -> Fail {
    Fail::Encode(format!("the index cannot be written: {error}"))
}

/// A NAL unit without its start code.
fn without_start_code(unit: &[u8]) -> &[u8] {
    unit.strip_prefix(&[0, 0, 0, 1]).or_else(|| unit.strip_prefix(&[0, 0, 1])).unwrap_or(unit)
}

impl Encode for Mp4 {
    fn write(&mut self, frame: &Redacted, out: &mut dyn Out) -> Result<(), Fail> {
        // A film that is a part of a longer stream begins at nought, too.
        let first = *self.first.get_or_insert(frame.time());
        let tick = self.tick(frame.time().saturating_sub(first));
        let yuv = I420::new(frame, &mut self.scratch);
        let encoded = self.encoder.encode(&yuv).map_err(|e| Fail::Encode(format!("H.264: {e}")))?;
        let key = matches!(encoded.frame_type(), FrameType::IDR);
        self.sample.clear();
        for layer in (0..encoded.num_layers()).filter_map(|i| encoded.layer(i)) {
            for unit in (0..layer.nal_count()).filter_map(|i| layer.nal_unit(i)).map(without_start_code) {
                match unit.first().map(|b| b & 0x1f) {
                    Some(7) => unit.clone_into(&mut self.sps),
                    Some(8) => unit.clone_into(&mut self.pps),
                    Some(_) => {
                        let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
                        self.sample.extend_from_slice(&length.to_be_bytes());
                        self.sample.extend_from_slice(unit);
                    }
                    None => {}
                }
            }
        }
        if self.sample.is_empty() {
            return Err(Fail::Encode(format!("H.264: the encoder dropped frame {}", frame.index())));
        }
        out.write_all(&self.sample)?;
        if !self.sizes.is_empty() {
            self.close_sample(tick - self.last_tick);
        }
        if self.sizes.len().is_multiple_of(CHUNK) {
            self.chunks.push(self.at);
        }
        self.at += self.sample.len() as u64;
        self.sizes.push(u32::try_from(self.sample.len()).unwrap_or(u32::MAX));
        if key {
            self.keys.push(u32::try_from(self.sizes.len()).unwrap_or(u32::MAX));
        }
        self.last_tick = tick;
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Out) -> Result<(), Fail> {
        if self.sizes.is_empty() {
            return Err(Fail::Encode("there is no frame to write".into()));
        }
        self.close_sample(u64::from(self.frame_ticks));
        let mut moov = Vec::new();
        self.index().encode(&mut moov).map_err(muxing)?;
        out.write_all(&moov)?;
        out.seek(SeekFrom::Start(self.mdat + 8))?;
        out.write_all(&(self.at - self.mdat).to_be_bytes())?;
        out.flush()?;
        Ok(())
    }
}
