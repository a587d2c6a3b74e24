//! Where frames come from: one trait, [`Source`], and one function, [`open`], that picks the reader by
//! content.
//!
//! A source decodes into a [`RawFrame`] in the layout it has at hand and does nothing else: it may not
//! know detectors, masks or sinks. Whatever a file or a camera does wrong is an error or a lost frame,
//! never a panic.

pub mod avi;
mod discover;
mod fault;
mod ffmpeg;
#[cfg(feature = "h264")]
mod h264;
mod jpeg;
pub mod mjpeg;
#[cfg(feature = "h264")]
pub mod mp4;
mod orient;
#[cfg_attr(not(all(feature = "v4l2", target_os = "linux")), allow(dead_code))]
mod raw;
#[cfg(feature = "rtsp")]
mod rtsp;
mod still;
#[cfg(all(feature = "v4l2", target_os = "linux"))]
mod v4l2;
pub mod y4m;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use discover::discover;
pub use fault::Fault;
#[cfg(all(unix, feature = "vault"))]
pub(crate) use jpeg::geometry_of as jpeg_geometry;

use crate::frame::{Color, FrameError, FramePool, Geometry, RawFrame};

/// Frames per second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rate {
    /// Frames ...
    pub num: u32,
    /// ... per this many seconds; at least 1.
    pub den: u32,
}

impl Rate {
    /// What a video that does not tell its rate is taken to have.
    pub const ASSUMED: Self = Self { num: 25, den: 1 };

    /// `frames` in `ticks` of `1 / timescale` seconds, in lowest terms; `None` where that is not a rate.
    pub fn average(frames: u64, ticks: u64, timescale: u32) -> Option<Self> {
        let (mut num, mut den) = (frames.checked_mul(u64::from(timescale))?, ticks);
        if num == 0 || den == 0 {
            return None;
        }
        let divisor = gcd(num, den);
        (num, den) = (num / divisor, den / divisor);
        while num > u64::from(u32::MAX) || den > u64::from(u32::MAX) {
            (num, den) = (num >> 1, den >> 1);
        }
        (num > 0 && den > 0).then_some(Self { num: u32::try_from(num).ok()?, den: u32::try_from(den).ok()? })
    }

    /// Frames per second.
    pub fn fps(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// When frame `index` is due, counted from the first.
    pub fn time_of(self, index: u64) -> Duration {
        let nanos = u128::from(index) * 1_000_000_000 * u128::from(self.den) / u128::from(self.num.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What a medium is, so that the output can be of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// A JPEG picture.
    Jpeg,
    /// A PNG picture.
    Png,
    /// A WebP picture.
    Webp,
    /// Uncompressed video, YUV4MPEG2.
    Y4m,
    /// Motion JPEG, in AVI or bare.
    Mjpeg,
    /// H.264 in MP4.
    Mp4,
    /// Anything else that the `ffmpeg` program decoded.
    Other,
    /// A live camera.
    Live,
}

impl MediaKind {
    /// Whether it holds one picture.
    pub fn is_still(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Webp)
    }

    /// The file name extension of what [`crate::sink::create`] writes for it, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Y4m => "y4m",
            Self::Mjpeg => "avi",
            Self::Mp4 | Self::Other | Self::Live => "mp4",
        }
    }
}

/// What is known of a stream before its first frame.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamInfo {
    /// What it was read from.
    pub kind: MediaKind,
    /// Size and layout of every frame.
    pub geometry: Geometry,
    /// How samples map to colours.
    pub color: Color,
    /// Frame rate; stills say 1/1.
    pub rate: Rate,
    /// How many frames there are, where the container says so (a hint, not a promise).
    pub frames: Option<u64>,
}

/// What a source has next.
#[derive(Debug)]
pub enum Next {
    /// A frame.
    Frame(RawFrame),
    /// A frame that was there but could not be read. The stream goes on, and the pipeline puts a covered
    /// frame in its place.
    Lost {
        /// Its number.
        index: u64,
        /// Its time.
        time: Duration,
        /// What went wrong.
        reason: String,
    },
    /// The stream is over.
    End,
}

/// Reads frames, one after the other. Numbers rise by one from 0, lost frames included.
pub trait Source: Send {
    /// What is known of the stream.
    fn info(&self) -> &StreamInfo;

    /// The next frame, in a buffer of `pool`.
    ///
    /// # Errors
    /// The stream cannot go on (truncated container, camera gone, disk error). Frames already given stand.
    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError>;
}

/// Why a source could not be opened or could not go on. Every message names the file and a remedy.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum SourceError {
    #[error("cannot read {path:?}: {source}; check that it exists and that you may read it")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path:?} is not a kind of file that is understood ({hint})")]
    Unsupported { path: PathBuf, hint: String },
    #[error("{path:?} is damaged: {reason}; copy it again from where it was made")]
    Corrupt { path: PathBuf, reason: String },
    #[error("{path:?}: {source}")]
    Frame { path: PathBuf, source: FrameError },
    #[error("camera {name}: {reason}")]
    Camera { name: String, reason: String },
}

impl SourceError {
    /// The file that the error is about, if it is a file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::Unsupported { path, .. }
            | Self::Corrupt { path, .. }
            | Self::Frame { path, .. } => Some(path),
            Self::Camera { .. } => None,
        }
    }
}

/// How to open a source.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Whether the `ffmpeg` program may decode what the built-in readers cannot.
    pub ffmpeg: bool,
    /// What to ask of a camera on `/dev/videoN`: width and height in pixels. It may give another size.
    pub camera_size: (u32, u32),
    /// What to ask of such a camera: frames per second. It may give another rate.
    pub camera_rate: u32,
    /// How long a camera may stay silent before it counts as gone.
    pub camera_timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { ffmpeg: true, camera_size: (1280, 720), camera_rate: 30, camera_timeout: Duration::from_secs(10) }
    }
}

/// Opens whatever `path` names: a picture, a video, `/dev/videoN`, or an `rtsp://` address. Files are
/// told apart by their first bytes, not by their names.
///
/// # Errors
/// It cannot be read, is damaged, is too large a picture, or is of a kind that neither the built-in readers nor the
/// `ffmpeg` program (where installed and allowed) understand.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source>, SourceError> {
    if is_rtsp(path) {
        return open_rtsp(path, options);
    }
    let mut file = File::open(path).map_err(|e| Fault::Io(e).at(path))?;
    let meta = file.metadata().map_err(|e| Fault::Io(e).at(path))?;
    if meta.is_dir() {
        return Err(Fault::Unsupported("it is a folder; list its files with discover".into()).at(path));
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_char_device(&meta.file_type()) {
        drop(file);
        return open_camera(path, options);
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&meta.file_type()) {
        return open_pipe(file, path);
    }
    let head = read_head(&mut file).map_err(|e| Fault::Io(e).at(path))?;
    let result = match sniff(&head) {
        Some(Kind::Empty) => Err(Fault::Corrupt("the file is empty".into())),
        Some(Kind::Jpeg) => mjpeg::open_still_or_stream(file, path),
        Some(Kind::Png) => still::open_png(file, path),
        Some(Kind::Webp) => still::open_webp(file, path),
        Some(Kind::Y4m) => y4m::open(file, path),
        Some(Kind::Avi) => avi::open(file, path),
        Some(Kind::Mp4) => open_mp4(file, path),
        None => Err(Fault::Unsupported("no built-in reader knows it".into())),
    };
    match result {
        Err(Fault::Unsupported(why)) if options.ffmpeg => ffmpeg::open(path, &why).map_err(|f| f.at(path)),
        Err(Fault::Unsupported(why)) => {
            Err(Fault::Unsupported(format!("{why}; the ffmpeg program could read it but is switched off")).at(path))
        }
        other => other.map_err(|f| f.at(path)),
    }
}

enum Kind {
    Empty,
    Jpeg,
    Png,
    Webp,
    Y4m,
    Avi,
    Mp4,
}

fn sniff(head: &[u8]) -> Option<Kind> {
    let fourcc = |at: usize| head.get(at..at + 4).unwrap_or_default();
    if head.is_empty() {
        Some(Kind::Empty)
    } else if head.starts_with(&[0xff, 0xd8, 0xff]) {
        Some(Kind::Jpeg)
    } else if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(Kind::Png)
    } else if fourcc(0) == b"RIFF" && fourcc(8) == b"WEBP" {
        Some(Kind::Webp)
    } else if fourcc(0) == b"RIFF" && fourcc(8) == b"AVI " {
        Some(Kind::Avi)
    } else if head.starts_with(b"YUV4MPEG2") {
        Some(Kind::Y4m)
    } else if [&b"ftyp"[..], b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"].contains(&fourcc(4)) {
        Some(Kind::Mp4)
    } else {
        None
    }
}

fn read_head(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(16);
    file.take(16).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(head)
}

/// A named pipe, which cannot be read twice: whoever writes into it writes YUV4MPEG2.
#[cfg(unix)]
fn open_pipe(mut file: File, path: &Path) -> Result<Box<dyn Source>, SourceError> {
    let mut head = Vec::with_capacity(16);
    file.by_ref().take(16).read_to_end(&mut head).map_err(|e| Fault::Io(e).at(path))?;
    let opened = match sniff(&head) {
        Some(Kind::Y4m) => y4m::open_stream(std::io::Cursor::new(head).chain(file), path),
        Some(Kind::Empty) => Err(Fault::Corrupt("whoever wrote into the pipe has gone".into())),
        _ => Err(Fault::Unsupported("from a pipe YUV4MPEG2 alone is read".into())),
    };
    opened.map_err(|fault| fault.at(path))
}

/// Disk reads are large enough that a network disk keeps up.
fn buffered(file: File) -> BufReader<File> {
    BufReader::with_capacity(256 << 10, file)
}

#[cfg(feature = "h264")]
fn open_mp4(file: File, path: &Path) -> Result<Box<dyn Source>, Fault> {
    mp4::open(file, path)
}

#[cfg(not(feature = "h264"))]
fn open_mp4(_: File, _: &Path) -> Result<Box<dyn Source>, Fault> {
    Err(Fault::Unsupported("this program was built without the h264 feature".into()))
}

/// Whether `path` is a network camera's address rather than a file's name.
pub fn is_rtsp(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    text.len() >= 7 && text[..7].eq_ignore_ascii_case(b"rtsp://")
}

/// The host and the port that an `rtsp://` address means.
///
/// # Errors
/// It is no address.
pub fn rtsp_host(path: &Path) -> Result<(String, u16), SourceError> {
    #[cfg(feature = "rtsp")]
    let host = rtsp::host(path);
    // It is refused when it is opened.
    #[cfg(not(feature = "rtsp"))]
    let host = Some((String::new(), 554)).filter(|_| is_rtsp(path));
    host.ok_or_else(|| SourceError::Camera {
        name: "rtsp://...".to_owned(),
        reason: "this is not an address like rtsp://host:port/path".to_owned(),
    })
}

#[cfg(feature = "rtsp")]
fn open_rtsp(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source>, SourceError> {
    rtsp::open(path, options)
}

#[cfg(not(feature = "rtsp"))]
fn open_rtsp(_: &Path, _: &OpenOptions) -> Result<Box<dyn Source>, SourceError> {
    Err(SourceError::Camera { name: "rtsp".into(), reason: "this program was built without the rtsp feature".into() })
}

#[cfg(all(feature = "v4l2", target_os = "linux"))]
fn open_camera(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source>, SourceError> {
    v4l2::open(path, options)
}

#[cfg(not(all(feature = "v4l2", target_os = "linux")))]
#[cfg(unix)]
fn open_camera(path: &Path, _: &OpenOptions) -> Result<Box<dyn Source>, SourceError> {
    Err(SourceError::Camera {
        name: path.display().to_string(),
        reason: "this program was built without the v4l2 feature".into(),
    })
}

#[cfg(test)]
mod tests;
