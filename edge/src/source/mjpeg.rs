//! JPEG pictures one after the other without a container, as network cameras and capture tools write them.

use std::fs::File;
use std::io::{BufRead, Seek};
use std::path::{Path, PathBuf};

use crate::frame::{Color, FrameBuffer, FramePool, Geometry, RawFrame};
use crate::source::fault::Fault;
use crate::source::jpeg::{self, Ended};
use crate::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo, buffered, still};

/// One JPEG is a picture; several of one size are a video.
pub(super) fn open_still_or_stream(file: File, path: &Path) -> Result<Box<dyn Source>, Fault> {
    let mut reader = buffered(file);
    let mut first = Vec::new();
    if jpeg::read_one(&mut reader, &mut first)? != Ended::Whole {
        return Err(Fault::Corrupt("it ends in the middle of the picture".into()));
    }
    let mut second = Vec::new();
    let follows = !jpeg::is_multi_picture(&first)
        && reader.fill_buf()?.starts_with(&[0xff, 0xd8, 0xff])
        && matches!(jpeg::read_one(&mut reader, &mut second), Ok(Ended::Whole | Ended::Cut));
    let geometry = jpeg::header(&first)?.geometry;
    let same_size = || jpeg::header(&second).is_ok_and(|h| h.geometry == geometry);
    if !follows || !same_size() {
        return still::open_jpeg(first, path);
    }
    reader.rewind()?;
    Ok(Box::new(Mjpeg {
        path: path.to_path_buf(),
        info: StreamInfo { kind: MediaKind::Mjpeg, geometry, color: Color::JPEG, rate: Rate::ASSUMED, frames: None },
        reader,
        picture: Vec::new(),
        index: 0,
    }))
}

struct Mjpeg<R> {
    path: PathBuf,
    info: StreamInfo,
    reader: R,
    picture: Vec<u8>,
    index: u64,
}

impl<R: BufRead + Send> Source for Mjpeg<R> {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        let ended = jpeg::read_one(&mut self.reader, &mut self.picture).map_err(|f| f.at(&self.path))?;
        if ended == Ended::None {
            return Ok(Next::End);
        }
        let index = self.index;
        self.index += 1;
        Ok(frame(&self.picture, ended, index, &self.info, pool))
    }
}

/// A frame of a Motion JPEG stream; one that does not decode is lost, and the stream goes on.
pub(super) fn frame(picture: &[u8], ended: Ended, index: u64, info: &StreamInfo, pool: &FramePool) -> Next {
    let time = info.rate.time_of(index);
    let decoded = decode(picture, ended, info.geometry, pool);
    let frame = decoded.and_then(|buffer| Ok(RawFrame::new(index, time, info.geometry, info.color, buffer)?));
    match frame {
        Ok(frame) => Next::Frame(frame),
        Err(fault) => Next::Lost { index, time, reason: fault.to_string() },
    }
}

/// A picture of a stream, in a buffer of the pool.
pub(super) fn decode(
    picture: &[u8],
    ended: Ended,
    geometry: Geometry,
    pool: &FramePool,
) -> Result<FrameBuffer, Fault> {
    let mut buffer = pool.take(geometry.bytes());
    jpeg::decode(picture, ended, geometry, buffer.as_mut_slice())?;
    Ok(buffer)
}

/// Splits `bytes` into pictures and decodes them, for fuzzing: how many frames there were.
pub fn count_frames(mut bytes: &[u8]) -> usize {
    let pool = FramePool::new();
    let (mut picture, mut count) = (Vec::new(), 0);
    while let Ok(ended @ (Ended::Whole | Ended::Cut)) = jpeg::read_one(&mut bytes, &mut picture) {
        let small = |g: Geometry| g.pixels() <= 1 << 20;
        if let Ok(header) = jpeg::header(&picture)
            && small(header.geometry)
            && decode(&picture, ended, header.geometry, &pool).is_ok()
        {
            count += 1;
        }
    }
    count
}
