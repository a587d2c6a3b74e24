//! Counts what passes, and keeps as much of it as the page can show: memory stays bounded.

use std::collections::{BTreeMap, HashSet};

use volet_models::ObjectClass;

use crate::annotate::{FrameRecord, MediaRecord};
use crate::summary::Counts;

/// How many boxes are drawn on the page, over all media.
pub const MAX_BOXES: usize = 20_000;
/// How many media the page shows.
pub const MAX_MEDIA: usize = 500;
/// How many bars a timeline has at most.
const MAX_BINS: usize = 600;

/// What the page shows beyond the summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageData {
    /// By the output's name; of the first [`MAX_MEDIA`] media.
    pub media: BTreeMap<String, MediaNotes>,
}

/// What the page shows of one medium.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaNotes {
    /// Boxes to draw, by rising frame.
    pub boxes: Vec<PageBox>,
    /// The first frame whose boxes were left out, where [`MAX_BOXES`] was reached.
    pub boxes_until: Option<u64>,
    /// Faces over time.
    pub timeline: Timeline,
}

/// A box on the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageBox {
    /// Frame number, from 0.
    pub frame: u64,
    /// What it is.
    pub class: ObjectClass,
    /// Left, top, width, height in whole pixels.
    pub bbox: [u32; 4],
}

/// Faces over time, in bars that each stand for the same number of frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// How many frames a bar stands for.
    pub frames_per_bin: u64,
    /// The bars.
    pub bins: Vec<Bin>,
}

/// A bar of a timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// The most faces in one of its frames.
    pub faces: u32,
    /// Whether one of its frames was covered wholly.
    pub covered: bool,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { frames_per_bin: 1, bins: Vec::new() }
    }
}

impl Timeline {
    fn add(&mut self, frame: u64, faces: u32, covered: bool) {
        let mut at = frame / self.frames_per_bin;
        while at >= MAX_BINS as u64 {
            self.frames_per_bin *= 2;
            self.bins = self.bins.chunks(2).map(|pair| pair.iter().fold(Bin::default(), |a, b| a.with(*b))).collect();
            at = frame / self.frames_per_bin;
        }
        let at = at as usize;
        if self.bins.len() <= at {
            self.bins.resize(at + 1, Bin::default());
        }
        self.bins[at] = self.bins[at].with(Bin { faces, covered });
    }
}

impl Bin {
    fn with(self, other: Self) -> Self {
        Self { faces: self.faces.max(other.faces), covered: self.covered || other.covered }
    }
}

/// Gathers counts and [`PageData`] while a run goes on. It takes the records that an
/// [`annotate::Writer`](crate::annotate::Writer) takes, in the same order.
#[derive(Debug, Default)]
pub struct Collector {
    data: PageData,
    boxes: usize,
    open: Open,
}

#[derive(Debug, Default)]
struct Open {
    name: String,
    /// `None` where the page has no room for the medium.
    notes: Option<MediaNotes>,
    counts: Counts,
    tracks: HashSet<(ObjectClass, u32)>,
}

impl Collector {
    /// Nothing was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a medium; what was open is forgotten.
    pub fn begin_media(&mut self, media: &MediaRecord) {
        let room = self.data.media.len() < MAX_MEDIA;
        self.discard_media();
        self.open.name.clone_from(&media.output_name);
        self.open.notes = room.then(MediaNotes::default);
    }

    /// Adds a frame.
    pub fn frame(&mut self, frame: &FrameRecord) {
        let Open { notes, counts, tracks, .. } = &mut self.open;
        let pixels = u64::from(frame.width) * u64::from(frame.height);
        counts.frames += 1;
        counts.pixels += pixels;
        counts.covered_pixels += frame.covered_pixels.min(pixels);
        if let Some(reason) = &frame.covered {
            counts.cover(reason, 1);
        }
        let mut faces = 0;
        for object in &frame.objects {
            // A box without a track is a track of its own.
            let new = object.track_id.is_none_or(|id| tracks.insert((object.class, id)));
            match object.class {
                ObjectClass::Face => {
                    faces += 1;
                    counts.face_boxes += 1;
                    counts.face_tracks += u64::from(new);
                }
                ObjectClass::Person => {
                    counts.person_boxes += 1;
                    counts.person_tracks += u64::from(new);
                }
                _ => {}
            }
        }
        let Some(notes) = notes else { return };
        notes.timeline.add(frame.index, faces, frame.covered.is_some());
        if notes.boxes_until.is_some() || frame.objects.is_empty() {
            return;
        }
        if self.boxes + frame.objects.len() > MAX_BOXES {
            notes.boxes_until = Some(frame.index);
            return;
        }
        self.boxes += frame.objects.len();
        notes.boxes.extend(frame.objects.iter().map(|o| PageBox {
            frame: frame.index,
            class: o.class,
            // Casting from floating point saturates: NaN and what is negative become 0.
            bbox: [o.bbox.x, o.bbox.y, o.bbox.w, o.bbox.h].map(|v| v.round() as u32),
        }));
    }

    /// Completes the open medium and says what was in it.
    pub fn end_media(&mut self) -> Counts {
        let open = std::mem::take(&mut self.open);
        if let Some(notes) = open.notes {
            self.data.media.insert(open.name, notes);
        }
        open.counts
    }

    /// Forgets the open medium.
    pub fn discard_media(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.boxes -= open.notes.map_or(0, |n| n.boxes.len());
    }

    /// What the page needs.
    pub fn finish(mut self) -> PageData {
        self.discard_media();
        self.data
    }
}
