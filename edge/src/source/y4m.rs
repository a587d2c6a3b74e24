//! YUV4MPEG2 (`.y4m`): uncompressed video, one text line before the stream and one before each frame.
//! Eight bits; 4:2:0, 4:2:2, 4:4:4 and grey.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use crate::frame::{Color, FrameBuffer, FramePool, Geometry, PixelFormat, Range, RawFrame};
use crate::source::fault::Fault;
use crate::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo, buffered};

/// No writer's line is near this long.
const MAX_LINE: u64 = 4096;

/// Reads a stream from anything.
pub struct Y4m<R> {
    reader: R,
    info: StreamInfo,
    header_bytes: u64,
    index: u64,
}

impl<R: BufRead> Y4m<R> {
    /// Reads the stream's header.
    ///
    /// # Errors
    /// No YUV4MPEG2, a damaged header, more than eight bits, a layout other than those named above.
    pub fn new(mut reader: R) -> Result<Self, Fault> {
        let line = read_line(&mut reader)?.ok_or_else(|| Fault::Corrupt("the file is empty".into()))?;
        let info = parse_header(&line)?;
        Ok(Self { reader, info, header_bytes: line.len() as u64 + 1, index: 0 })
    }

    /// What the header tells.
    pub fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// The next frame, or `None` at the end.
    ///
    /// # Errors
    /// The stream ends within a frame or what should be a frame's line is not.
    pub fn next_frame(&mut self, pool: &FramePool) -> Result<Option<RawFrame>, Fault> {
        let index = self.index;
        match read_line(&mut self.reader)? {
            None => return Ok(None),
            Some(line) if line == b"FRAME" || line.starts_with(b"FRAME ") => {}
            Some(_) => return Err(Fault::Corrupt(format!("there is no frame number {index} where one should be"))),
        }
        let mut buffer: FrameBuffer = pool.take(self.info.geometry.bytes());
        self.reader.read_exact(buffer.as_mut_slice()).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Corrupt(format!("it ends within frame number {index}")),
            _ => Fault::Io(e),
        })?;
        self.index += 1;
        let time = self.info.rate.time_of(index);
        Ok(Some(RawFrame::new(index, time, self.info.geometry, self.info.color, buffer)?))
    }
}

struct Y4mFile<R> {
    path: PathBuf,
    stream: Y4m<R>,
}

pub(super) fn open(file: File, path: &Path) -> Result<Box<dyn Source>, Fault> {
    let length = file.metadata()?.len();
    let mut stream = Y4m::new(buffered(file))?;
    let frame = stream.info.geometry.bytes() as u64 + 6;
    stream.info.frames = Some(length.saturating_sub(stream.header_bytes) / frame);
    Ok(Box::new(Y4mFile { path: path.to_path_buf(), stream }))
}

/// A stream of which nobody knows the length, from a pipe for example.
pub(super) fn open_stream(reader: impl Read + Send + 'static, path: &Path) -> Result<Box<dyn Source>, Fault> {
    let stream = Y4m::new(io::BufReader::with_capacity(256 << 10, reader))?;
    Ok(Box::new(Y4mFile { path: path.to_path_buf(), stream }))
}

impl<R: BufRead + Send> Source for Y4mFile<R> {
    fn info(&self) -> &StreamInfo {
        self.stream.info()
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        let frame = self.stream.next_frame(pool).map_err(|f| f.at(&self.path))?;
        Ok(frame.map_or(Next::End, Next::Frame))
    }
}

/// A line without its newline; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>, Fault> {
    let mut line = Vec::new();
    reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(Fault::Corrupt("a line of its header does not end".into())),
    }
}

fn parse_header(line: &[u8]) -> Result<StreamInfo, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::Corrupt("its header is not text".into()))?;
    let mut words = text.split(' ');
    if words.next() != Some("YUV4MPEG2") {
        return Err(Fault::Corrupt("its header is not that of YUV4MPEG2".into()));
    }
    let (mut width, mut height, mut rate, mut format) = (0, 0, Rate::ASSUMED, PixelFormat::I420);
    let mut range = Range::Limited;
    for word in words.filter(|w| !w.is_empty()) {
        let (tag, value) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        let number = || value.parse::<u32>().map_err(|_| Fault::Corrupt(format!("its header says {word:?}")));
        match tag {
            "W" => width = number()?,
            "H" => height = number()?,
            "F" => rate = parse_rate(value).unwrap_or(Rate::ASSUMED),
            "C" => format = parse_format(value)?,
            "X" if value == "COLORRANGE=FULL" => range = Range::Full,
            _ => {}
        }
    }
    let geometry = Geometry::new(format, width, height)?;
    let color = Color { range, ..Color::untagged(height) };
    Ok(StreamInfo { kind: MediaKind::Y4m, geometry, color, rate, frames: None })
}

fn parse_rate(value: &str) -> Option<Rate> {
    let (num, den) = value.split_once(':')?;
    let (num, den) = (num.parse().ok()?, den.parse().ok()?);
    (num > 0 && den > 0).then_some(Rate { num, den })
}

fn parse_format(value: &str) -> Result<PixelFormat, Fault> {
    match value {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(PixelFormat::I420),
        "422" => Ok(PixelFormat::I422),
        "444" => Ok(PixelFormat::I444),
        "mono" => Ok(PixelFormat::Grey8),
        other => Err(Fault::Unsupported(format!("YUV4MPEG2 of layout C{other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(bytes: &[u8]) -> (usize, Option<Fault>) {
        let pool = FramePool::new();
        let mut stream = match Y4m::new(bytes) {
            Ok(s) => s,
            Err(e) => return (0, Some(e)),
        };
        for n in 0.. {
            match stream.next_frame(&pool) {
                Ok(Some(f)) => assert_eq!(f.index(), n as u64),
                Ok(None) => return (n, None),
                Err(e) => return (n, Some(e)),
            }
        }
        unreachable!()
    }

    fn clip(tail: &str, size: usize, count: usize) -> Vec<u8> {
        let mut bytes = format!("YUV4MPEG2 W5 H3 F30000:1001{tail}\n").into_bytes();
        for n in 0..count {
            bytes.extend_from_slice(if n == 1 { b"FRAME Ip\n" } else { b"FRAME\n" });
            bytes.extend(std::iter::repeat_n(n as u8, size));
        }
        bytes
    }

    #[test]
    fn layouts_rates_and_ranges_are_read() {
        for (tail, size, format) in [
            ("", 15 + 12, PixelFormat::I420),
            (" Ip A1:1 C420jpeg XYSCSS=420JPEG", 15 + 12, PixelFormat::I420),
            (" C422", 15 + 18, PixelFormat::I422),
            (" C444", 45, PixelFormat::I444),
            (" Cmono", 15, PixelFormat::Grey8),
        ] {
            let bytes = clip(tail, size, 3);
            assert_eq!(Y4m::new(&bytes[..]).unwrap().info().geometry.format(), format);
            assert!(matches!(frames(&bytes), (3, None)), "{tail}");
        }
        let full = Y4m::new(&clip(" XCOLORRANGE=FULL", 27, 1)[..]).unwrap().info().clone();
        assert_eq!((full.rate, full.color.range), (Rate { num: 30_000, den: 1001 }, Range::Full));
    }

    #[test]
    fn what_is_not_read_is_told() {
        for (header, unsupported) in [
            ("YUV4MPEG2 W4 H4 C420p10\n", true),
            ("YUV4MPEG2 W4 H4 C444alpha\n", true),
            ("YUV4MPEG2 H4\n", false),
            ("YUV4MPEG2 W100000 H100000\n", false),
            ("YUV4MPEG2 W-1 H4\n", false),
            ("YUV4MPEG2 W4 H4", false),
            ("YUV4MPEG2 \u{20ac}4 W4 H\n", false),
        ] {
            let fault = Y4m::new(header.as_bytes()).err().unwrap();
            assert_eq!(matches!(fault, Fault::Unsupported(_)), unsupported, "{header} {fault}");
        }
    }

    #[test]
    fn every_cut_gives_the_frames_before_it() {
        let bytes = clip("", 27, 3);
        let ends: Vec<usize> = (0..=3).map(|n| clip("", 27, n).len()).collect();
        for cut in 0..bytes.len() {
            let (count, fault) = frames(&bytes[..cut]);
            assert_eq!(count, ends[1..].iter().filter(|&&e| e <= cut).count(), "cut at {cut}");
            assert_eq!(fault.is_none(), ends.contains(&cut), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..120, byte: u8) {
            let mut bytes = clip(" C422", 33, 3);
            bytes[at] = byte;
            // A damaged size could make frames large; that is bounded by the limits, not by this test.
            if Y4m::new(&bytes[..]).is_ok_and(|s| s.info().geometry.pixels() < 1 << 20) {
                frames(&bytes);
            }
        }
    }
}
