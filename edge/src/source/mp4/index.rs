//! The index of an MP4 file: its video track and where each sample lies (ISO/IEC 14496-12), without the samples
//! themselves. Only the boxes that are needed are decoded, so that an exotic one elsewhere does no harm; and
//! nothing is allocated that the file does not hold.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use mp4_atom::{
    Atom, Avcc, Co64, Colr, Ctts, CttsEntry, Elst, Hdlr, Matrix, Mdhd, Mvhd, Stco, Stsc, StscEntry, Stsz, StszSamples,
    Stts, SttsEntry, Tfdt, Tfhd, Tkhd, Trex, Trun,
};

use crate::source::Rate;
use crate::source::fault::Fault;

/// A `moov` of this size indexes weeks of video.
const MAX_INDEX: u64 = 512 << 20;
/// Samples in one fragment; writers make seconds, not hours.
const MAX_FRAGMENT_SAMPLES: usize = 1 << 20;

/// One coded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Where it begins, from the file's start.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) size: u32,
    /// When it is shown, in units of the track's timescale.
    pub(super) pts: i64,
}

/// The video track.
pub(super) struct Track {
    pub(super) avcc: Avcc,
    pub(super) colr: Option<Colr>,
    pub(super) matrix: Matrix,
    /// Ticks per second; at least 1.
    pub(super) timescale: u32,
    /// Presentation times that the edit list keeps.
    pub(super) shown: Range<i64>,
    id: u32,
    defaults: Option<Trex>,
    tables: Tables,
    /// Where the index ends: fragments follow.
    end: u64,
}

struct Tables {
    sizes: StszSamples,
    deltas: Vec<SttsEntry>,
    offsets: Vec<CttsEntry>,
    runs: Vec<StscEntry>,
    chunks: Chunks,
}

enum Chunks {
    Short(Vec<u32>),
    Long(Vec<u64>),
}

/// Finds the `moov` box in `reader`, a file of `length` bytes, and reads its first video track.
///
/// # Errors
/// There is none, it is damaged, or its codec is not H.264.
pub(super) fn read(reader: &mut (impl Read + Seek), length: u64) -> Result<Track, Fault> {
    let mut at = 0;
    while let Some(found) = top_box(reader, at, length)? {
        if found.kind == *b"moov" {
            let body = read_body(reader, &found, length)?;
            return parse_moov(&body, found.end);
        }
        at = found.end;
    }
    Err(Fault::Corrupt("it has no index (moov); its recording was not finished".into()))
}

#[derive(Debug)]
struct TopBox {
    kind: [u8; 4],
    start: u64,
    body: u64,
    end: u64,
}

/// The header of the box at `at`; `None` at the end of the file.
fn top_box(reader: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Option<TopBox>, Fault> {
    if at.saturating_add(8) > length {
        return Ok(None);
    }
    reader.seek(SeekFrom::Start(at))?;
    let mut head = [0; 16];
    reader.read_exact(&mut head[..8])?;
    let kind = [head[4], head[5], head[6], head[7]];
    let (body, size) = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
        0 => (at + 8, length - at),
        1 => {
            reader.read_exact(&mut head[8..])?;
            let long: [u8; 8] = std::array::from_fn(|i| head[8 + i]);
            (at + 16, u64::from_be_bytes(long))
        }
        short => (at + 8, u64::from(short)),
    };
    let end = at.checked_add(size).filter(|&e| e >= body);
    let end = end.ok_or_else(|| Fault::Corrupt(format!("a box at byte {at} has an impossible size")))?;
    Ok(Some(TopBox { kind, start: at, body, end }))
}

fn read_body(reader: &mut (impl Read + Seek), found: &TopBox, length: u64) -> Result<Vec<u8>, Fault> {
    if found.end > length {
        return Err(Fault::Corrupt("it ends within its index".into()));
    }
    let size = found.end - found.body;
    if size > MAX_INDEX {
        return Err(Fault::Corrupt(format!("its index claims {} MB", size >> 20)));
    }
    reader.seek(SeekFrom::Start(found.body))?;
    let mut body = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    reader.take(size).read_to_end(&mut body)?;
    Ok(body)
}

/// The boxes that follow each other in `bytes`; stops at the first that does not fit.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let kind: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
        let (head, size) = match size {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)).ok()?),
            size => (8, usize::try_from(size).ok()?),
        };
        let body = bytes.get(head..size)?;
        bytes = &bytes[size..];
        Some((kind, body))
    })
}

fn child<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(k, _)| k == kind).map(|(_, body)| body)
}

/// A descendant by its path, as `b"mdia/minf"`-like lists of names.
fn descend<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |at, kind| child(at, kind))
}

fn decode<A: Atom>(mut body: &[u8]) -> Result<A, Fault> {
    A::decode_body(&mut body).map_err(|e| Fault::Corrupt(format!("its box {}: {e}", A::KIND)))
}

fn required<A: Atom>(parent: &[u8]) -> Result<A, Fault> {
    optional(parent)?.ok_or_else(|| Fault::Corrupt(format!("its index lacks the box {}", A::KIND)))
}

fn optional<A: Atom>(parent: &[u8]) -> Result<Option<A>, Fault> {
    child(parent, A::KIND.as_ref()).map(decode).transpose()
}

fn parse_moov(moov: &[u8], end: u64) -> Result<Track, Fault> {
    let is_video = |trak: &&[u8]| {
        child(trak, b"mdia").is_some_and(|m| matches!(required::<Hdlr>(m), Ok(h) if h.handler.as_ref() == b"vide"))
    };
    let trak = boxes(moov).filter(|(k, _)| k == b"trak").map(|(_, b)| b).find(is_video);
    let trak = trak.ok_or_else(|| Fault::Corrupt("it has no video track".into()))?;
    let missing = || Fault::Corrupt("its video track is not complete".into());
    let mdia = child(trak, b"mdia").ok_or_else(missing)?;
    let stbl = descend(mdia, &[b"minf", b"stbl"]).ok_or_else(missing)?;
    let (avcc, colr) = parse_entry(child(stbl, b"stsd").ok_or_else(missing)?)?;
    let tkhd: Tkhd = required(trak)?;
    let timescale = required::<Mdhd>(mdia)?.timescale.max(1);
    let movie_timescale = required::<Mvhd>(moov)?.timescale.max(1);
    let elst = child(trak, b"edts").map(optional::<Elst>).transpose()?.flatten();
    let traks = child(moov, b"mvex").into_iter().flat_map(boxes).filter(|(k, _)| k == b"trex");
    let defaults = traks.filter_map(|(_, b)| decode::<Trex>(b).ok()).find(|t| t.track_id == tkhd.track_id);
    let chunks = match optional::<Co64>(stbl)? {
        Some(co64) => Chunks::Long(co64.entries),
        None => Chunks::Short(optional::<Stco>(stbl)?.map(|s| s.entries).unwrap_or_default()),
    };
    let tables = Tables {
        sizes: required::<Stsz>(stbl)?.samples,
        deltas: required::<Stts>(stbl)?.entries,
        offsets: optional::<Ctts>(stbl)?.map(|c| c.entries).unwrap_or_default(),
        runs: required::<Stsc>(stbl)?.entries,
        chunks,
    };
    Ok(Track {
        avcc,
        colr,
        matrix: tkhd.matrix,
        timescale,
        shown: shown(elst.as_ref(), timescale, movie_timescale),
        id: tkhd.track_id,
        defaults,
        tables,
        end,
    })
}

/// The codec's configuration, from the first entry of the `stsd` box.
fn parse_entry(stsd: &[u8]) -> Result<(Avcc, Option<Colr>), Fault> {
    let entries = stsd.get(8..).unwrap_or_default();
    let (kind, entry) = boxes(entries).next().ok_or_else(|| Fault::Corrupt("its video has no format".into()))?;
    if kind != *b"avc1" && kind != *b"avc3" {
        return Err(Fault::Unsupported(format!("MP4 with {} video", kind.escape_ascii())));
    }
    // VisualSampleEntry: 78 bytes of fixed fields before the child boxes.
    let children = entry.get(78..).unwrap_or_default();
    let avcc = child(children, b"avcC").ok_or_else(|| Fault::Corrupt("its H.264 has no configuration".into()))?;
    let avcc = decode(avcc).map_err(|f| Fault::Unsupported(f.to_string()))?;
    Ok((avcc, child(children, b"colr").and_then(|b| decode(b).ok())))
}

/// What an edit list keeps. Lists of several parts are not followed: all is kept.
fn shown(elst: Option<&Elst>, timescale: u32, movie_timescale: u32) -> Range<i64> {
    let all = i64::MIN..i64::MAX;
    let mut edits = elst.into_iter().flat_map(|e| &e.entries).filter_map(|e| Some((e.media_time?, e.segment_duration)));
    let (Some((start, duration)), None) = (edits.next(), edits.next()) else {
        return all;
    };
    let start = i64::try_from(start).unwrap_or(i64::MAX);
    if duration == 0 {
        return start..i64::MAX;
    }
    // One tick of the movie's clock more: durations are rounded.
    let ticks = (u128::from(duration) + 1) * u128::from(timescale) / u128::from(movie_timescale);
    start..start.saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX))
}

impl Track {
    /// All samples, from the first.
    pub(super) fn samples(&self) -> Samples {
        Samples { cursor: Cursor::default(), next_box: self.end, fragments: Fragments::default() }
    }

    /// Whether samples may follow in fragments (`moof`).
    pub(super) fn is_fragmented(&self) -> bool {
        self.defaults.is_some()
    }

    /// Frames that the index lists and the edit list keeps, and their average rate.
    pub(super) fn count_and_rate(&self) -> (u64, Option<Rate>) {
        let count = self.tables.count();
        let mut cursor = Cursor::default();
        let shown = (0..count).filter(|_| self.shown.contains(&cursor.advance_time(&self.tables))).count() as u64;
        let entries = self.tables.deltas.iter();
        let ticks = entries.fold(0u64, |sum, e| {
            sum.saturating_add(u64::from(e.sample_count).saturating_mul(u64::from(e.sample_delta)))
        });
        // The deltas' own count: a damaged table must not make a wild rate.
        let listed = self.tables.deltas.iter().fold(0u64, |n, e| n.saturating_add(u64::from(e.sample_count)));
        (shown, Rate::average(listed, ticks, self.timescale))
    }

    /// The rate that a fragmented file's defaults give.
    pub(super) fn default_rate(&self) -> Option<Rate> {
        Rate::average(1, u64::from(self.defaults.as_ref()?.default_sample_duration), self.timescale)
    }
}

impl Tables {
    fn count(&self) -> u32 {
        match &self.sizes {
            StszSamples::Identical { count, .. } => *count,
            StszSamples::Different { sizes } => u32::try_from(sizes.len()).unwrap_or(u32::MAX),
        }
    }

    fn size(&self, sample: u32) -> u32 {
        match &self.sizes {
            StszSamples::Identical { size, .. } => *size,
            StszSamples::Different { sizes } => sizes.get(sample as usize).copied().unwrap_or(0),
        }
    }

    fn chunk(&self, index: usize) -> Option<u64> {
        match &self.chunks {
            Chunks::Short(list) => list.get(index).map(|&o| u64::from(o)),
            Chunks::Long(list) => list.get(index).copied(),
        }
    }
}

/// A place in the sample tables; walks them once, front to back.
#[derive(Default)]
struct Cursor {
    sample: u32,
    chunk: usize,
    in_chunk: u32,
    run: usize,
    offset: u64,
    delta: (usize, u32),
    shift: (usize, u32),
    dts: i64,
}

impl Cursor {
    fn next(&mut self, tables: &Tables) -> Option<Result<Sample, Fault>> {
        if self.sample >= tables.count() {
            return None;
        }
        let damaged = || Some(Err(Fault::Corrupt("its index contradicts itself".into())));
        let Some(mut run) = tables.runs.get(self.run) else { return damaged() };
        if self.sample > 0 && self.in_chunk >= run.samples_per_chunk {
            self.chunk += 1;
            self.in_chunk = 0;
            if let Some(next) = tables.runs.get(self.run + 1)
                && self.chunk + 1 >= next.first_chunk as usize
            {
                self.run += 1;
                run = next;
            }
        }
        if run.samples_per_chunk == 0 {
            return damaged();
        }
        if self.in_chunk == 0 {
            let Some(offset) = tables.chunk(self.chunk) else { return damaged() };
            self.offset = offset;
        }
        let size = tables.size(self.sample);
        let offset = self.offset;
        self.offset = offset.saturating_add(u64::from(size));
        self.in_chunk += 1;
        self.sample += 1;
        Some(Ok(Sample { offset, size, pts: self.advance_time(tables) }))
    }

    /// The next sample's presentation time.
    fn advance_time(&mut self, tables: &Tables) -> i64 {
        let shift = step(&mut self.shift, tables.offsets.len(), |i| tables.offsets[i].sample_count);
        let shift = shift.map_or(0, |i| tables.offsets[i].sample_offset);
        let pts = self.dts.saturating_add(shift);
        // Past the table's end the last delta holds.
        let delta = step(&mut self.delta, tables.deltas.len(), |i| tables.deltas[i].sample_count);
        let delta = delta.map(|i| &tables.deltas[i]).or(tables.deltas.last()).map_or(0, |d| d.sample_delta);
        self.dts = self.dts.saturating_add(i64::from(delta));
        pts
    }
}

/// Moves one sample on in a run-length table; the entry that holds for it.
fn step((entry, used): &mut (usize, u32), entries: usize, count: impl Fn(usize) -> u32) -> Option<usize> {
    while *entry < entries && *used >= count(*entry) {
        (*entry, *used) = (*entry + 1, 0);
    }
    *used += 1;
    (*entry < entries).then_some(*entry)
}

/// All samples in decoding order: those of the index, then those of the fragments, which are read as they come.
pub(super) struct Samples {
    cursor: Cursor,
    next_box: u64,
    fragments: Fragments,
}

#[derive(Default)]
struct Fragments {
    queue: VecDeque<Sample>,
    dts: i64,
}

impl Samples {
    /// The next sample, or `None` at the end.
    pub(super) fn next(
        &mut self,
        track: &Track,
        reader: &mut (impl Read + Seek),
        length: u64,
    ) -> Result<Option<Sample>, Fault> {
        if let Some(sample) = self.cursor.next(&track.tables) {
            self.fragments.dts = self.cursor.dts;
            return sample.map(Some);
        }
        while track.is_fragmented() {
            if let Some(sample) = self.fragments.queue.pop_front() {
                return Ok(Some(sample));
            }
            let Some(found) = top_box(reader, self.next_box, length)? else { break };
            self.next_box = found.end;
            if found.kind == *b"moof" {
                let body = read_body(reader, &found, length)?;
                self.fragments.read(&body, found.start, track)?;
            }
        }
        Ok(None)
    }
}

impl Fragments {
    fn read(&mut self, moof: &[u8], start: u64, track: &Track) -> Result<(), Fault> {
        for (_, traf) in boxes(moof).filter(|(k, _)| k == b"traf") {
            let tfhd: Tfhd = required(traf)?;
            if tfhd.track_id != track.id {
                continue;
            }
            if let Some(tfdt) = optional::<Tfdt>(traf)? {
                self.dts = i64::try_from(tfdt.base_media_decode_time).unwrap_or(i64::MAX);
            }
            let base = tfhd.base_data_offset.unwrap_or(start);
            let mut offset = base;
            for (_, trun) in boxes(traf).filter(|(k, _)| k == b"trun") {
                self.read_run(&decode(trun)?, &tfhd, base, &mut offset, track)?;
            }
        }
        Ok(())
    }

    fn read_run(&mut self, trun: &Trun, tfhd: &Tfhd, base: u64, offset: &mut u64, track: &Track) -> Result<(), Fault> {
        let trex = track.defaults.clone().unwrap_or_default();
        let default_duration = tfhd.default_sample_duration.unwrap_or(trex.default_sample_duration);
        let default_size = tfhd.default_sample_size.unwrap_or(trex.default_sample_size);
        if let Some(shift) = trun.data_offset {
            *offset = base.saturating_add_signed(i64::from(shift));
        }
        if self.queue.len().saturating_add(trun.samples.len()) > MAX_FRAGMENT_SAMPLES {
            return Err(Fault::Corrupt("a fragment claims more than a million samples".into()));
        }
        for entry in trun.samples.iter() {
            let size = entry.size.unwrap_or(default_size);
            let pts = self.dts.saturating_add(entry.cts.unwrap_or(0));
            self.queue.push_back(Sample { offset: *offset, size, pts });
            *offset = offset.saturating_add(u64::from(size));
            self.dts = self.dts.saturating_add(i64::from(entry.duration.unwrap_or(default_duration)));
        }
        Ok(())
    }
}
