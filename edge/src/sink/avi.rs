//! Motion JPEG in AVI 2.0 (OpenDML): segments of at most a gigabyte, so that the film may be of any length, and the
//! old index in the first, so that every player seeks. The rate is constant there: frames' own times are not kept.

use std::io::SeekFrom;

use crate::redact::Redacted;
use crate::sink::{Encode, Fail, Out, still};
use crate::source::StreamInfo;

/// Size at which a segment is closed; old readers end at two gigabytes, some at one.
const SEGMENT: u64 = 1 << 30;
/// Segments that the index of indexes has room for: a quarter of a terabyte.
const MAX_SEGMENTS: usize = 256;

/// Where the fields that are filled in at the end lie in the header, from the file's start.
const AT_TOTAL_FRAMES: u64 = 48;
const AT_LENGTH: u64 = 140;
const AT_BUFFER: u64 = 144;
const AT_INDEX_COUNT: u64 = 224;
const AT_INDEX_ENTRIES: u64 = 244;
const AT_ALL_FRAMES: u64 = AT_INDEX_ENTRIES + 16 * MAX_SEGMENTS as u64 + 20;

pub(super) struct Avi {
    quality: u8,
    /// Bytes at which a segment is closed.
    limit: u64,
    jpeg: Vec<u8>,
    /// Bytes written.
    at: u64,
    segment: Segment,
    /// Offset, size and frames of each closed segment's index.
    indexes: Vec<(u64, u32, u32)>,
    frames: u32,
    first_frames: u32,
    largest: u32,
}

#[derive(Default)]
struct Segment {
    riff: u64,
    movi: u64,
    /// Each picture's offset from `movi` and size.
    pictures: Vec<(u32, u32)>,
}

impl Avi {
    pub(super) fn new(info: &StreamInfo, quality: u8, out: &mut dyn Out) -> Result<Self, Fail> {
        let head = header(info);
        out.write_all(&head)?;
        let at = head.len() as u64;
        // `header` ends with the list of the first segment's pictures.
        let segment = Segment { riff: 0, movi: at - 4, pictures: Vec::new() };
        let (indexes, jpeg) = (Vec::new(), Vec::new());
        let limit = SEGMENT;
        Ok(Self { quality, limit, jpeg, at, segment, indexes, frames: 0, first_frames: 0, largest: 0 })
    }

    /// Writes the segment's index (and, in the first, the old index) and its sizes.
    fn close_segment(&mut self, out: &mut dyn Out) -> Result<(), Fail> {
        let pictures = std::mem::take(&mut self.segment.pictures);
        let count = size(pictures.len() as u64);
        let mut index = Vec::with_capacity(32 + 8 * pictures.len());
        index.extend_from_slice(b"ix00");
        put(&mut index, 24 + 8 * count);
        // Two words an entry, an index of chunks, of the chunks 00dc, counted from `movi`.
        index.extend_from_slice(&[2, 0, 0, 1]);
        put(&mut index, count);
        index.extend_from_slice(b"00dc");
        index.extend_from_slice(&self.segment.movi.to_le_bytes());
        put(&mut index, 0);
        for &(offset, length) in &pictures {
            put(&mut index, offset + 8);
            put(&mut index, length);
        }
        let index_at = self.at;
        self.put_out(&index, out)?;
        let movi_end = self.at;
        if self.indexes.is_empty() {
            self.first_frames = count;
            let mut old = Vec::with_capacity(8 + 16 * pictures.len());
            old.extend_from_slice(b"idx1");
            put(&mut old, 16 * count);
            for &(offset, length) in &pictures {
                old.extend_from_slice(b"00dc");
                put(&mut old, 0x10);
                put(&mut old, offset);
                put(&mut old, length);
            }
            self.put_out(&old, out)?;
        }
        self.indexes.push((index_at, size(index.len() as u64), count));
        patch(out, self.segment.riff + 4, size(self.at - self.segment.riff - 8))?;
        patch(out, self.segment.movi - 4, size(movi_end - self.segment.movi))?;
        out.seek(SeekFrom::Start(self.at))?;
        Ok(())
    }

    fn open_segment(&mut self, out: &mut dyn Out) -> Result<(), Fail> {
        if self.indexes.len() >= MAX_SEGMENTS {
            return Err(Fail::Encode("a Motion JPEG file ends at 256 GB; write MP4 instead".into()));
        }
        let riff = self.at;
        self.put_out(b"RIFF\0\0\0\0AVIXLIST\0\0\0\0movi", out)?;
        self.segment = Segment { riff, movi: self.at - 4, pictures: Vec::new() };
        Ok(())
    }

    fn put_out(&mut self, bytes: &[u8], out: &mut dyn Out) -> Result<(), Fail> {
        out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Appends a picture that is JPEG already.
    pub(super) fn append(&mut self, jpeg: &[u8], out: &mut dyn Out) -> Result<(), Fail> {
        let length = size(jpeg.len() as u64);
        let padding = &[0][..jpeg.len() % 2];
        let whole = (8 + jpeg.len() + padding.len()) as u64;
        if !self.segment.pictures.is_empty() && self.at - self.segment.riff + whole > self.limit {
            self.close_segment(out)?;
            self.open_segment(out)?;
        }
        self.segment.pictures.push((size(self.at - self.segment.movi), length));
        self.put_out(b"00dc", out)?;
        for part in [&length.to_le_bytes()[..], jpeg, padding] {
            self.put_out(part, out)?;
        }
        self.largest = self.largest.max(length);
        self.frames += 1;
        Ok(())
    }

    /// Fills in what was not known before.
    pub(super) fn end(&mut self, out: &mut dyn Out) -> Result<(), Fail> {
        if self.frames == 0 {
            return Err(Fail::Encode("there is no frame to write".into()));
        }
        self.close_segment(out)?;
        patch(out, AT_TOTAL_FRAMES, self.first_frames)?;
        patch(out, AT_LENGTH, self.frames)?;
        patch(out, AT_BUFFER, self.largest)?;
        patch(out, AT_INDEX_COUNT, size(self.indexes.len() as u64))?;
        patch(out, AT_ALL_FRAMES, self.frames)?;
        let mut entries = Vec::new();
        for &(offset, length, frames) in &self.indexes {
            entries.extend_from_slice(&offset.to_le_bytes());
            put(&mut entries, length);
            put(&mut entries, frames);
        }
        out.seek(SeekFrom::Start(AT_INDEX_ENTRIES))?;
        out.write_all(&entries)?;
        out.flush()?;
        Ok(())
    }
}

impl Encode for Avi {
    fn write(&mut self, frame: &Redacted, out: &mut dyn Out) -> Result<(), Fail> {
        let mut jpeg = std::mem::take(&mut self.jpeg);
        jpeg.clear();
        still::jpeg(frame, self.quality, &mut jpeg)?;
        self.append(&jpeg, out)?;
        self.jpeg = jpeg;
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Out) -> Result<(), Fail> {
        self.end(out)
    }
}

fn size(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn put(into: &mut Vec<u8>, value: u32) {
    into.extend_from_slice(&value.to_le_bytes());
}

fn patch(out: &mut dyn Out, at: u64, value: u32) -> Result<(), Fail> {
    out.seek(SeekFrom::Start(at))?;
    out.write_all(&value.to_le_bytes())?;
    Ok(())
}

/// All that comes before the first picture. Sizes and counts that are not known yet are 0.
fn header(info: &StreamInfo) -> Vec<u8> {
    let (width, height) = (info.geometry.width(), info.geometry.height());
    let index_size = 24 + 16 * MAX_SEGMENTS as u32;
    let strl_size = 4 + (8 + 56) + (8 + 40) + (8 + index_size);
    let odml_size = 4 + 8 + 4;
    let hdrl_size = 4 + (8 + 56) + (8 + strl_size) + (8 + odml_size);
    let frame_micros = f64::from(info.rate.den) * 1e6 / f64::from(info.rate.num.max(1));

    let mut h = Vec::new();
    h.extend_from_slice(b"RIFF\0\0\0\0AVI LIST");
    put(&mut h, hdrl_size);
    h.extend_from_slice(b"hdrlavih");
    put(&mut h, 56);
    // Floating-point casts saturate. Then: byte rate, padding, flags (has an index, is interleaved), total frames,
    // initial frames, streams, buffer, size, reserved.
    for value in [frame_micros as u32, 0, 0, 0x110, 0, 0, 1, 0, width, height, 0, 0, 0, 0] {
        put(&mut h, value);
    }
    h.extend_from_slice(b"LIST");
    put(&mut h, strl_size);
    h.extend_from_slice(b"strlstrh");
    put(&mut h, 56);
    h.extend_from_slice(b"vidsMJPG");
    // Flags, priority and language, initial frames, scale, rate, start, length, buffer, quality, sample size.
    for value in [0, 0, 0, info.rate.den, info.rate.num, 0, 0, 0, u32::MAX, 0] {
        put(&mut h, value);
    }
    let corner = |v: u32| u16::try_from(v).unwrap_or(u16::MAX).to_le_bytes();
    for side in [0, 0, width, height] {
        h.extend_from_slice(&corner(side));
    }
    h.extend_from_slice(b"strf");
    put(&mut h, 40);
    for value in [40, width, height, 1 | 24 << 16, u32::from_le_bytes(*b"MJPG"), width * height * 3, 0, 0, 0, 0] {
        put(&mut h, value);
    }
    h.extend_from_slice(b"indx");
    put(&mut h, index_size);
    // Four words an entry, an index of indexes.
    h.extend_from_slice(&[4, 0, 0, 0, 0, 0, 0, 0]);
    h.extend_from_slice(b"00dc");
    h.resize(h.len() + 12 + 16 * MAX_SEGMENTS, 0);
    h.extend_from_slice(b"LIST");
    put(&mut h, odml_size);
    h.extend_from_slice(b"odmldmlh");
    put(&mut h, 4);
    put(&mut h, 0);
    h.extend_from_slice(b"LIST\0\0\0\0movi");
    h
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
    use crate::source::avi::Avi as Reader;
    use crate::source::{MediaKind, Next, Rate};
    use std::io::Cursor;
    use std::process::Command;

    fn info() -> StreamInfo {
        StreamInfo {
            kind: MediaKind::Mjpeg,
            geometry: Geometry::new(PixelFormat::Rgb8, 35, 27).unwrap(),
            color: Color::JPEG,
            rate: Rate { num: 25, den: 1 },
            frames: None,
        }
    }

    #[test]
    fn a_film_of_many_segments_is_whole() {
        let mut file = Cursor::new(Vec::new());
        let info = info();
        let mut avi = Avi::new(&info, 90, &mut file).unwrap();
        avi.limit = 20_000;
        for n in 0..100 {
            let bytes: Vec<u8> = (0..info.geometry.bytes()).map(|i| (i * i / 50 + n * 3) as u8).collect();
            let frame = RawFrame::new(n as u64, info.rate.time_of(n as u64), info.geometry, info.color, bytes);
            avi.write(&Redacted::for_tests(frame.unwrap()), &mut file).unwrap();
        }
        avi.finish(&mut file).unwrap();
        assert!(avi.indexes.len() > 5, "{} segments", avi.indexes.len());
        let bytes = file.into_inner();

        let mut reader = Reader::new(&bytes[..]).unwrap();
        assert_eq!((reader.info().frames, reader.info().rate), (Some(100), info.rate));
        let (pool, mut count) = (FramePool::new(), 0);
        while let Next::Frame(_) = reader.next_frame(&pool).unwrap() {
            count += 1;
        }
        assert_eq!(count, 100);

        // Every index entry points at a picture.
        for (offset, length, frames) in &avi.indexes {
            let index = &bytes[*offset as usize..][..*length as usize];
            let base = u64::from_le_bytes(index[20..28].try_into().unwrap());
            for entry in index[32..].chunks_exact(8) {
                let at = base + u64::from(u32::from_le_bytes(entry[..4].try_into().unwrap()));
                assert_eq!(bytes[at as usize..][..2], [0xff, 0xd8]);
            }
            assert_eq!(index[32..].len() / 8, *frames as usize);
        }

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.avi");
        std::fs::write(&path, &bytes).unwrap();
        let fields = "stream=width,height,avg_frame_rate,nb_frames,nb_read_frames";
        let mut ffprobe = Command::new("ffprobe");
        ffprobe.args(["-v", "error", "-count_frames", "-of", "csv=p=0", "-show_entries", fields]).arg(&path);
        match ffprobe.output() {
            Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "35,27,25/1,100,100"),
            Err(_) => eprintln!("skipped: ffprobe is not installed"),
        }
    }

    #[test]
    fn fields_that_are_filled_in_lie_where_they_should() {
        let h = header(&info());
        let at = |name: &[u8]| h.windows(name.len()).position(|w| w == name).unwrap() as u64;
        assert_eq!(at(b"avih") + 8 + 16, AT_TOTAL_FRAMES);
        assert_eq!(at(b"strh") + 8 + 32, AT_LENGTH);
        assert_eq!(at(b"strh") + 8 + 36, AT_BUFFER);
        assert_eq!(at(b"indx") + 8 + 4, AT_INDEX_COUNT);
        assert_eq!(at(b"indx") + 8 + 24, AT_INDEX_ENTRIES);
        assert_eq!(at(b"dmlh") + 8, AT_ALL_FRAMES);
        assert!(h.ends_with(b"movi"));
    }
}
