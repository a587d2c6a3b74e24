//! CVAT's XML (<https://docs.cvat.ai/docs/manual/advanced/xml_format/>): "CVAT for images 1.1" for all
//! stills in `images.xml`, "CVAT for video 1.1" for every clip in `CLIP.mp4.xml`.
//!
//! In a clip every box is a keyframe; where a track pauses or ends before the clip does, a keyframe with
//! `outside="1"` says so, since CVAT would fill the gap by interpolation. A box without a track is a track
//! of one frame. Labels carry the attributes `origin`, `score` and, in clips, `track` (the id in `coco.json`).

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use volet_models::ObjectClass;

use super::draft::{Draft, make_dir};
use super::tracks::{Key, Sample, Tracks};
use super::{AnnotateError, FrameRecord, MediaRecord, Origin, Writer, rounded, writable};

pub(super) struct Cvat {
    folder: PathBuf,
    stills: Stills,
    open: Option<Open>,
    done: Vec<PathBuf>,
}

/// The `<image>` elements, until their number is known.
struct Stills {
    images: Xml,
    count: u64,
    mark: (u64, u64),
}

enum Open {
    Still(MediaRecord),
    Clip { media: MediaRecord, tracks: Tracks, frames: u64 },
}

impl Cvat {
    pub(super) fn create(annotations: &Path) -> Result<Self, AnnotateError> {
        let folder = annotations.join("cvat");
        make_dir(&folder)?;
        let images = Xml::new(Draft::scratch(&folder, &folder.join("images.xml"))?);
        Ok(Self { folder, stills: Stills { images, count: 0, mark: (0, 0) }, open: None, done: Vec::new() })
    }
}

impl Writer for Cvat {
    fn begin_media(&mut self, media: &MediaRecord) -> Result<(), AnnotateError> {
        if self.open.is_some() {
            return Err(AnnotateError::Order("a medium began within another"));
        }
        self.open = Some(if media.kind.is_still() {
            self.stills.mark = (self.stills.images.draft().len(), self.stills.count);
            Open::Still(media.clone())
        } else {
            let tracks = Tracks::create(&self.folder, &self.clip_path(media))?;
            Open::Clip { media: media.clone(), tracks, frames: 0 }
        });
        Ok(())
    }

    fn frame(&mut self, frame: &FrameRecord) -> Result<(), AnnotateError> {
        match &mut self.open {
            None => Err(AnnotateError::Order("a frame without a medium")),
            Some(Open::Still(media)) => self.stills.add(media, frame),
            Some(Open::Clip { tracks, frames, .. }) => {
                *frames = frame.index + 1;
                writable(frame).try_for_each(|object| tracks.add(frame.index, &object))
            }
        }
    }

    fn end_media(&mut self) -> Result<(), AnnotateError> {
        match self.open.take() {
            None => Err(AnnotateError::Order("no medium to end")),
            Some(Open::Still(_)) => Ok(()),
            Some(Open::Clip { media, mut tracks, frames }) => {
                let path = write_clip(&self.clip_path(&media), &media, &mut tracks, frames)?;
                self.done.push(path);
                Ok(())
            }
        }
    }

    fn discard_media(&mut self) -> Result<(), AnnotateError> {
        match self.open.take() {
            None => Err(AnnotateError::Order("no medium to discard")),
            Some(Open::Still(_)) => {
                let (len, count) = self.stills.mark;
                self.stills.count = count;
                self.stills.images.draft().truncate(len)
            }
            Some(Open::Clip { .. }) => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<PathBuf>, AnnotateError> {
        if self.open.is_some() {
            self.discard_media()?;
        }
        if self.stills.count > 0 {
            let path = self.folder.join("images.xml");
            let mut xml = Xml::new(Draft::create(&path)?);
            xml.head("annotation", "stills", self.stills.count, None)?;
            xml.draft().append(self.stills.images.draft())?;
            self.done.push(xml.finish()?);
        }
        Ok(self.done)
    }
}

impl Cvat {
    fn clip_path(&self, media: &MediaRecord) -> PathBuf {
        self.folder.join(format!("{}.xml", media.output_name))
    }
}

impl Stills {
    fn add(&mut self, media: &MediaRecord, frame: &FrameRecord) -> Result<(), AnnotateError> {
        let id = self.count.to_string();
        let (width, height) = (frame.width.to_string(), frame.height.to_string());
        self.count += 1;
        let attributes = [("id", id.as_str()), ("name", &media.output_name), ("width", &width), ("height", &height)];
        self.images.start("image", &attributes)?;
        for object in writable(frame) {
            let sample = Sample { frame: frame.index, bbox: object.bbox, score: object.score, origin: object.origin };
            self.images.rectangle(&[("label", object.class.name()), ("source", "auto")], &sample, None)?;
        }
        self.images.end("image")
    }
}

fn write_clip(path: &Path, media: &MediaRecord, tracks: &mut Tracks, frames: u64) -> Result<PathBuf, AnnotateError> {
    let mut xml = Xml::new(Draft::create(path)?);
    xml.head("interpolation", &media.output_name, frames, Some(media))?;
    let mut id = 0;
    for key in tracks.keys() {
        let mut before: Option<Sample> = None;
        tracks.read(key, |sample| {
            match before {
                // Without a track, every box stands for itself.
                Some(last) if key.track_id.is_none() => {
                    xml.leave(&last, key, frames)?;
                    xml.end("track")?;
                    xml.start_track(&mut id, key)?;
                }
                Some(last) if last.frame + 1 < sample.frame => xml.leave(&last, key, frames)?,
                Some(_) => {}
                None => xml.start_track(&mut id, key)?,
            }
            before = Some(sample);
            xml.keyframe(&sample, key, false)
        })?;
        if let Some(last) = before {
            xml.leave(&last, key, frames)?;
            xml.end("track")?;
        }
    }
    xml.finish()
}

/// CVAT's elements, written one after the other.
struct Xml {
    writer: quick_xml::Writer<Draft>,
}

impl Xml {
    fn new(draft: Draft) -> Self {
        Self { writer: quick_xml::Writer::new(draft) }
    }

    fn draft(&mut self) -> &mut Draft {
        self.writer.get_mut()
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), AnnotateError> {
        self.writer.write_event(event).map_err(|e| self.writer.get_mut().failed()(e))
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<(), AnnotateError> {
        let attributes = attributes.iter().map(|&(key, value)| (key, legal(value)));
        let mut start = BytesStart::new(name);
        for (key, value) in attributes {
            start.push_attribute((key, value.as_ref()));
        }
        self.event(Event::Start(start))
    }

    fn end(&mut self, name: &str) -> Result<(), AnnotateError> {
        self.event(Event::End(BytesEnd::new(name)))?;
        self.draft().text("\n")
    }

    fn element(&mut self, name: &str, text: &str) -> Result<(), AnnotateError> {
        self.start(name, &[])?;
        self.event(Event::Text(BytesText::new(&legal(text))))?;
        self.end(name)
    }

    /// Everything before the first image or track.
    fn head(&mut self, mode: &str, name: &str, size: u64, clip: Option<&MediaRecord>) -> Result<(), AnnotateError> {
        self.event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
        self.draft().text("\n")?;
        self.start("annotations", &[])?;
        self.element("version", "1.1")?;
        self.start("meta", &[])?;
        self.start("task", &[])?;
        self.element("name", name)?;
        self.element("size", &size.to_string())?;
        self.element("mode", mode)?;
        self.element("overlap", "0")?;
        self.element("flipped", "False")?;
        self.start("labels", &[])?;
        for class in ObjectClass::ALL {
            self.start("label", &[])?;
            self.element("name", class.name())?;
            self.element("type", "rectangle")?;
            self.start("attributes", &[])?;
            self.attribute_kind("origin", "select", &Origin::ALL.map(Origin::name).join("\n"))?;
            self.attribute_kind("score", "text", "")?;
            if clip.is_some() {
                self.attribute_kind("track", "text", "")?;
            }
            self.end("attributes")?;
            self.end("label")?;
        }
        self.end("labels")?;
        if let Some(media) = clip {
            self.start("original_size", &[])?;
            self.element("width", &media.width.to_string())?;
            self.element("height", &media.height.to_string())?;
            self.end("original_size")?;
            if let Some(source) = &media.source_name {
                self.element("source", source)?;
            }
        }
        self.end("task")?;
        self.end("meta")
    }

    fn attribute_kind(&mut self, name: &str, kind: &str, values: &str) -> Result<(), AnnotateError> {
        self.start("attribute", &[])?;
        self.element("name", name)?;
        // What can differ from frame to frame is "mutable".
        self.element("mutable", if name == "track" { "False" } else { "True" })?;
        self.element("input_type", kind)?;
        self.element("default_value", values.lines().next().unwrap_or_default())?;
        self.element("values", values)?;
        self.end("attribute")
    }

    fn start_track(&mut self, id: &mut u64, key: Key) -> Result<(), AnnotateError> {
        let own = id.to_string();
        *id += 1;
        self.start("track", &[("id", &own), ("label", key.class.name()), ("source", "auto")])
    }

    /// Ends a run of frames: the track is out of sight from the next frame on, if there is one.
    fn leave(&mut self, last: &Sample, key: Key, frames: u64) -> Result<(), AnnotateError> {
        if last.frame + 1 >= frames {
            return Ok(());
        }
        self.keyframe(&Sample { frame: last.frame + 1, ..*last }, key, true)
    }

    fn keyframe(&mut self, sample: &Sample, key: Key, outside: bool) -> Result<(), AnnotateError> {
        let frame = sample.frame.to_string();
        let outside = if outside { "1" } else { "0" };
        self.rectangle(&[("frame", &frame), ("keyframe", "1"), ("outside", outside)], sample, key.track_id)
    }

    fn rectangle(
        &mut self,
        attributes: &[(&str, &str)],
        sample: &Sample,
        track: Option<u32>,
    ) -> Result<(), AnnotateError> {
        let b = sample.bbox;
        let [left, top, right, bottom] = [b.x, b.y, b.right(), b.bottom()].map(|v| rounded(v).to_string());
        let corners = [
            ("occluded", "0"),
            ("xtl", left.as_str()),
            ("ytl", &top),
            ("xbr", &right),
            ("ybr", &bottom),
            ("z_order", "0"),
        ];
        self.start("box", &[attributes, &corners].concat())?;
        self.attribute("origin", sample.origin.name())?;
        self.attribute("score", &rounded(sample.score).to_string())?;
        if let Some(track) = track {
            self.attribute("track", &track.to_string())?;
        }
        self.end("box")
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), AnnotateError> {
        self.start("attribute", &[("name", name)])?;
        self.event(Event::Text(BytesText::new(value)))?;
        self.event(Event::End(BytesEnd::new("attribute")))
    }

    fn finish(mut self) -> Result<PathBuf, AnnotateError> {
        self.end("annotations")?;
        self.writer.into_inner().finish()
    }
}

/// XML 1.0 has no way to write most control characters; they become U+FFFD.
fn legal(text: &str) -> Cow<'_, str> {
    let illegal = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    if text.contains(illegal) { Cow::Owned(text.replace(illegal, "\u{fffd}")) } else { Cow::Borrowed(text) }
}
