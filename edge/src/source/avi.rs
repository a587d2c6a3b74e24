//! AVI files with Motion JPEG. Chunks are taken as they come, so a missing index, wrong list sizes and OpenDML's
//! further `RIFF AVIX` segments make no difference, and memory does not grow with the file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::frame::{Color, FramePool, Geometry, PixelFormat};
use crate::source::fault::Fault;

use crate::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo, buffered, jpeg, mjpeg};

/// Headers of streams and formats are some hundred bytes.
const MAX_HEADER: u32 = 1 << 20;

/// Reads a video from anything.
pub struct Avi<R> {
    chunks: Chunks<R>,
    info: StreamInfo,
    /// The first frame, which was read to learn the size.
    first: Option<Chunk>,
    picture: Vec<u8>,
    index: u64,
}

/// What the headers tell of the video stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Header {
    number: u32,
    codec: [u8; 4],
    width: u32,
    height: u32,
    rate: Option<Rate>,
    frames: u32,
}

impl<R: BufRead> Avi<R> {
    /// Reads the headers and the first frame.
    ///
    /// # Errors
    /// No AVI, no video stream, or a codec other than Motion JPEG ([`Fault::Unsupported`]).
    pub fn new(reader: R) -> Result<Self, Fault> {
        let mut chunks = Chunks { reader, video: 0 };
        let header = chunks.headers()?;
        let mut picture = Vec::new();
        let first = chunks.next_picture(&mut picture)?;
        let geometry = match jpeg::header(&picture) {
            Ok(first) => first.geometry,
            // The headers must do where the first frame is damaged.
            Err(Fault::Corrupt(_)) => Geometry::new(PixelFormat::Rgb8, header.width, header.height)?,
            Err(other) => return Err(other),
        };
        if geometry.height() * 2 == header.height {
            return Err(Fault::Unsupported("interlaced Motion JPEG".into()));
        }
        let info = StreamInfo {
            kind: MediaKind::Mjpeg,
            geometry,
            color: Color::JPEG,
            rate: header.rate.unwrap_or(Rate::ASSUMED),
            frames: (header.frames > 0).then_some(u64::from(header.frames)),
        };
        Ok(Self { chunks, info, first, picture, index: 0 })
    }

    /// What the headers tell.
    pub fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// The next frame; one that does not decode is lost.
    ///
    /// # Errors
    /// The file ends within a frame, or what follows is no chunk.
    pub fn next_frame(&mut self, pool: &FramePool) -> Result<Next, Fault> {
        let next = match self.first.take() {
            Some(chunk) => Some(chunk),
            None => self.chunks.next_picture(&mut self.picture)?,
        };
        let Some(chunk) = next else {
            return Ok(Next::End);
        };
        let index = self.index;
        self.index += 1;
        let picture = if chunk == Chunk::Picture { &self.picture[..] } else { &[] };
        Ok(mjpeg::frame(picture, jpeg::ended(picture), index, &self.info, pool))
    }
}

/// What a video chunk held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Picture,
    Oversized,
}

struct Chunks<R> {
    reader: R,
    /// The number of the video stream.
    video: u32,
}

impl<R: BufRead> Chunks<R> {
    /// Reads up to where the frames begin.
    fn headers(&mut self) -> Result<Header, Fault> {
        let mut streams = 0;
        let mut found: Option<Header> = None;
        let mut pending: Option<Header> = None;
        while let Some((id, size)) = self.chunk_head()? {
            match &id {
                b"RIFF" | b"LIST" => {
                    let kind = self.array()?;
                    match &kind {
                        b"movi" => {
                            let header = found.ok_or_else(|| Fault::Corrupt("it has no video stream".into()))?;
                            self.video = header.number;
                            return supported(header);
                        }
                        b"AVI " | b"AVIX" | b"hdrl" | b"strl" => {}
                        _ => self.skip(u64::from(size).saturating_sub(4))?,
                    }
                }
                b"strh" => {
                    let body = self.header_body(size)?;
                    if body.starts_with(b"vids") && found.is_none() {
                        let rate = Rate { num: le32(&body, 24), den: le32(&body, 20) };
                        let rate = (rate.num > 0 && rate.den > 0).then_some(rate);
                        pending = Some(Header { number: streams, rate, frames: le32(&body, 32), ..Header::default() });
                    }
                    streams += 1;
                }
                b"strf" => {
                    let body = self.header_body(size)?;
                    if let Some(mut header) = pending.take() {
                        header.width = le32(&body, 4);
                        // A negative height means rows from the top.
                        header.height = le32(&body, 8).cast_signed().unsigned_abs();
                        header.codec = le32(&body, 16).to_le_bytes();
                        found = Some(header);
                    }
                }
                _ => self.skip(padded(size))?,
            }
        }
        Err(Fault::Corrupt("it ends before its first frame".into()))
    }

    /// Reads the next video chunk into `picture`; an empty one repeats the picture that is there.
    fn next_picture(&mut self, picture: &mut Vec<u8>) -> Result<Option<Chunk>, Fault> {
        while let Some((id, size)) = self.chunk_head()? {
            if &id == b"RIFF" || &id == b"LIST" {
                match &self.array()? {
                    b"AVIX" | b"movi" | b"rec " => {}
                    _ => self.skip(u64::from(size).saturating_sub(4))?,
                }
            } else if self.is_video(id) {
                if size == 0 {
                    return Ok(Some(Chunk::Picture));
                }
                if size as usize > jpeg::MAX_BYTES {
                    self.skip(padded(size))?;
                    return Ok(Some(Chunk::Oversized));
                }
                picture.clear();
                self.reader.by_ref().take(u64::from(size)).read_to_end(picture)?;
                if picture.len() < size as usize {
                    return Err(Fault::Corrupt("it ends within a frame".into()));
                }
                // The very last pad byte is often missing.
                let pad = padded(size) - u64::from(size);
                std::io::copy(&mut self.reader.by_ref().take(pad), &mut std::io::sink())?;
                return Ok(Some(Chunk::Picture));
            } else if id.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
                self.skip(padded(size))?;
            } else {
                return Err(Fault::Corrupt("there is no chunk where one should be".into()));
            }
        }
        Ok(None)
    }

    fn is_video(&self, id: [u8; 4]) -> bool {
        let digit = |b: u8| char::from(b).to_digit(10);
        let number = digit(id[0]).zip(digit(id[1])).map(|(tens, ones)| tens * 10 + ones);
        number == Some(self.video) && matches!(&id[2..], b"dc" | b"db")
    }

    /// The next chunk's name and size; `None` at the end of the file.
    fn chunk_head(&mut self) -> Result<Option<([u8; 4], u32)>, Fault> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let id = self.array()?;
        Ok(Some((id, u32::from_le_bytes(self.array()?))))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn header_body(&mut self, size: u32) -> Result<Vec<u8>, Fault> {
        if size > MAX_HEADER {
            return Err(Fault::Corrupt(format!("a header claims {size} bytes")));
        }
        let mut body = Vec::new();
        self.reader.by_ref().take(padded(size)).read_to_end(&mut body)?;
        Ok(body)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        // Reading over them costs little beside decoding, and works on pipes.
        std::io::copy(&mut self.reader.by_ref().take(bytes), &mut std::io::sink())?;
        Ok(())
    }
}

fn supported(header: Header) -> Result<Header, Fault> {
    let codec = header.codec.to_ascii_uppercase();
    if [&b"MJPG"[..], b"JPEG", b"AVRN", b"LJPG", b"DMB1"].contains(&&codec[..]) {
        return Ok(header);
    }
    Err(Fault::Unsupported(format!("AVI with {} video", header.codec.escape_ascii())))
}

fn padded(size: u32) -> u64 {
    u64::from(size).next_multiple_of(2)
}

/// A little-endian number, 0 beyond the end.
fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

struct AviFile {
    path: PathBuf,
    avi: Avi<BufReader<File>>,
}

pub(super) fn open(file: File, path: &Path) -> Result<Box<dyn Source>, Fault> {
    Ok(Box::new(AviFile { path: path.to_path_buf(), avi: Avi::new(buffered(file))? }))
}

impl Source for AviFile {
    fn info(&self) -> &StreamInfo {
        self.avi.info()
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        self.avi.next_frame(pool).map_err(|f| f.at(&self.path))
    }
}
