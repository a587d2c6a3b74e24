//! Everything else, through the `ffmpeg` program: it decodes in a process of its own and hands frames over a pipe.
//! Rotation is applied by it; frames come as 4:2:0 with eight bits.

use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use serde::Deserialize;

use crate::frame::{Color, FramePool, MAX_PIXELS, Matrix, Range};
use crate::source::fault::Fault;
use crate::source::y4m::Y4m;
use crate::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo};

/// Last bytes of the program's complaints that are kept.
const KEEP_ERRORS: usize = 2000;

/// Only files are opened, so that a playlist cannot make this machine call another; and no picture beyond the limits
/// of [`crate::frame`] is decoded.
const SAFETY: [&str; 2] = ["-protocol_whitelist", "file,crypto,data"];

struct Ffmpeg {
    path: PathBuf,
    info: StreamInfo,
    stream: Y4m<BufReader<ChildStdout>>,
    process: Process,
}

/// The program; killed when dropped.
struct Process {
    child: Child,
    errors: Option<JoinHandle<String>>,
}

/// Opens `path` with the program; `why` says why the built-in readers did not.
pub(super) fn open(path: &Path, why: &str) -> Result<Box<dyn Source>, Fault> {
    let probed = probe(path);
    if probed.as_ref().is_some_and(Probed::is_heif) {
        // The program decodes one tile of such a picture and calls it the whole.
        return Err(Fault::Unsupported("a HEIC or AVIF picture; save it as JPEG first".into()));
    }
    let mut process = Process::start(path, why)?;
    let pipe = process.child.stdout.take().ok_or_else(|| Fault::Unsupported("ffmpeg gave no pipe".into()))?;
    let stream = match Y4m::new(BufReader::with_capacity(256 << 10, pipe)) {
        Ok(stream) => stream,
        Err(Fault::Corrupt(_)) => return Err(Fault::Unsupported(format!("{why}; ffmpeg says: {}", process.end().1))),
        Err(other) => return Err(other),
    };
    let mut info = StreamInfo { kind: MediaKind::Other, ..stream.info().clone() };
    if let Some(probed) = probed {
        probed.refine(&mut info);
    }
    Ok(Box::new(Ffmpeg { path: path.to_path_buf(), info, stream, process }))
}

impl Source for Ffmpeg {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        match self.stream.next_frame(pool) {
            Ok(Some(frame)) => {
                let time = self.info.rate.time_of(frame.index());
                Ok(Next::Frame(frame.retimed(time, self.info.color)))
            }
            Ok(None) => match self.process.end() {
                (true, _) => Ok(Next::End),
                (false, errors) => Err(Fault::Corrupt(format!("ffmpeg says: {errors}")).at(&self.path)),
            },
            Err(fault) => Err(fault.at(&self.path)),
        }
    }
}

impl Process {
    fn start(path: &Path, why: &str) -> Result<Self, Fault> {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error"]).args(SAFETY);
        command.args(["-max_pixels", &MAX_PIXELS.to_string(), "-i"]).arg(as_url(path));
        // Frames as they come: none is dropped or repeated to fill a constant rate.
        command.args(["-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"]);
        command.args(["-f", "yuv4mpegpipe", "-strict", "-1", "pipe:1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Fault::Unsupported(format!("{why}; install the ffmpeg program to read it")),
            _ => Fault::Unsupported(format!("{why}, and the ffmpeg program does not start: {e}")),
        })?;
        let errors = child.stderr.take().map(|pipe| std::thread::spawn(move || last_errors(pipe)));
        Ok(Self { child, errors })
    }

    /// Waits for the program's end: whether it went well, and what it said.
    fn end(&mut self) -> (bool, String) {
        let went_well = self.child.wait().is_ok_and(|status| status.success());
        let said = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let said = said.trim();
        (went_well, if said.is_empty() { "nothing".into() } else { said.to_owned() })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Reads to the end, so that the program never waits, and keeps the last of it.
fn last_errors(mut pipe: impl Read) -> String {
    let (mut kept, mut block) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = pipe.read(&mut block) {
        kept.extend_from_slice(&block[..count]);
        let excess = kept.len().saturating_sub(KEEP_ERRORS);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The name in a form in which neither a leading dash nor a colon means anything.
fn as_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

#[derive(Deserialize)]
struct Probed {
    streams: Vec<ProbedStream>,
    format: ProbedFormat,
}

#[derive(Deserialize)]
struct ProbedStream {
    avg_frame_rate: Option<String>,
    nb_frames: Option<String>,
    color_space: Option<String>,
    pix_fmt: Option<String>,
}

#[derive(Deserialize)]
struct ProbedFormat {
    format_name: Option<String>,
    #[serde(default)]
    tags: ProbedTags,
}

#[derive(Deserialize, Default)]
struct ProbedTags {
    major_brand: Option<String>,
}

/// Asks `ffprobe` what the file holds; `None` where that fails, for all of it can be done without.
fn probe(path: &Path) -> Option<Probed> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "quiet", "-of", "json", "-select_streams", "v:0"]).args(SAFETY).arg("-show_entries");
    command.arg("stream=avg_frame_rate,nb_frames,color_space,pix_fmt:format=format_name:format_tags=major_brand");
    let output = command.arg(as_url(path)).stdin(Stdio::null()).output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

impl Probed {
    fn is_heif(&self) -> bool {
        let brand = self.format.tags.major_brand.as_deref().unwrap_or_default().trim();
        ["heic", "heix", "heim", "mif1", "msf1", "avif"].contains(&brand)
    }

    fn refine(&self, info: &mut StreamInfo) {
        let Some(stream) = self.streams.first() else { return };
        let rate = stream.avg_frame_rate.as_deref().and_then(|r| r.split_once('/'));
        if let Some((Ok(num), Ok(den))) = rate.map(|(num, den)| (num.parse(), den.parse()))
            && num > 0
            && den > 0
        {
            info.rate = Rate { num, den };
        }
        info.frames = stream.nb_frames.as_deref().and_then(|n| n.parse().ok());
        let name = self.format.format_name.as_deref().unwrap_or_default();
        if name == "image2" || name.ends_with("_pipe") {
            (info.kind, info.frames) = (MediaKind::Png, Some(1));
        }
        // What ffmpeg makes of RGB is BT.601.
        let rgb = stream.pix_fmt.as_deref().is_some_and(|p| ["rgb", "bgr", "gbr", "pal", "0rgb"].iter().any(|s| p.starts_with(s)));
        let matrix = match stream.color_space.as_deref() {
            _ if rgb => Matrix::Bt601,
            Some("bt709") => Matrix::Bt709,
            Some("smpte170m" | "bt470bg") => Matrix::Bt601,
            _ => Color::untagged(info.geometry.height()).matrix,
        };
        // `-pix_fmt yuv420p` asks for the limited range.
        info.color = Color { matrix, range: Range::Limited };
    }
}
