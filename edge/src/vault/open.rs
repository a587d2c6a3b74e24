//! The owner's side: clips become ordinary films, on a machine that has the identity.
//!
//! A clip is read twice: first to see what of it is genuine, then to write that much. A film is there whole or not at all, and
//! what a clip lost, and where, is said.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::VaultError;
use super::clip::{Next, Reader, Unreadable};
use super::content::{self, End, Picture, Start};
use super::entry::{BEGINNING, Entry};
use super::place;
use super::shelf::UNFINISHED;
use crate::learn::buffer::Identity;
use crate::sink::Film;
use crate::source::Rate;

/// Which clips are opened, by when they were begun; all where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

/// What became of a clip.
#[derive(Debug)]
pub struct Opened {
    /// The clip's file.
    pub clip: PathBuf,
    /// The film; none where nothing could be read.
    pub film: Option<PathBuf>,
    /// Pictures in the film.
    pub pictures: u64,
    /// Pictures that the camera had to leave out between the first and the last.
    pub left_out: u64,
    /// How much of the stream the film shows, seconds.
    pub seconds: f64,
    /// Why there is no film, or less of it than there was.
    pub trouble: Option<Trouble>,
}

/// What is wrong with a clip.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum Trouble {
    #[error("it is cut short: the power went, the disk was full, somebody cut it, or it is still being written")]
    Cut,
    #[error("it is damaged or was tampered with after what is in the film; copy it from the camera again if you can")]
    Damaged,
    #[error("it is damaged or was tampered with from its beginning on; copy it from the camera again if you can")]
    Nothing,
    #[error("it is no clip of a vault")]
    NoClip,
    #[error("it is sealed for the owner {0}, whose identity this is not: give the one that the vault was made with")]
    OtherOwner(crate::learn::buffer::Recipient),
    #[error("it was renamed: give it back the name {0}")]
    Renamed(Entry),
    #[error("the film {0:?} is there already: give another --out")]
    Exists(PathBuf),
    #[error("it cannot be read: {0}")]
    Read(std::io::Error),
    #[error(transparent)]
    Write(#[from] crate::sink::SinkError),
}

/// Opens a clip, or a vault's clips of a time, into a folder outside of the vault; `tell` hears of each as it is done. What is
/// wrong with one does not keep the others from being opened.
///
/// # Errors
/// Nothing could be begun: the folders cannot be used, or there is no vault or clip.
pub fn open(
    from: &Path,
    identity: &Identity,
    out: &Path,
    span: Span,
    tell: &mut dyn FnMut(&Opened),
) -> Result<(), VaultError> {
    let io = |path: &Path, source| VaultError::Io { path: path.to_owned(), source };
    let parent = from.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = if from.is_dir() { from } else { parent };
    place::outside(out, folder)?;
    let clips = if from.is_dir() {
        super::files(from)?.into_iter().map(|name| from.join(name)).collect()
    } else {
        vec![from.to_owned()]
    };
    std::fs::create_dir_all(out).map_err(|source| io(out, source))?;
    for clip in clips {
        let name = clip.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let entry = Entry::parse(name);
        let meant = |entry: Entry| {
            span.since.is_none_or(|since| entry.begun() >= since)
                && span.until.is_none_or(|until| entry.begun() < until)
        };
        // What has lost its name may be of any time.
        if entry.is_none_or(meant) {
            tell(&one(&clip, entry, identity, out));
        }
    }
    Ok(())
}

/// Whether a name may be that of a clip, or was.
pub(super) fn is_meant(name: &str) -> bool {
    name.starts_with(BEGINNING) && !name.ends_with(UNFINISHED)
}

fn one(clip: &Path, entry: Option<Entry>, identity: &Identity, out: &Path) -> Opened {
    let mut opened =
        Opened { clip: clip.to_owned(), film: None, pictures: 0, left_out: 0, seconds: 0.0, trouble: None };
    let found = match scan_file(clip, identity, u64::MAX, &mut |_, _| Ok(())) {
        Ok(found) => found,
        Err(trouble) => return Opened { trouble: Some(trouble), ..opened },
    };
    // Before the first chunk is open a header is anybody's word.
    if found.start.is_some() && entry != Some(found.entry) {
        return Opened { trouble: Some(Trouble::Renamed(found.entry)), ..opened };
    }
    let nothing = if matches!(found.trouble, Some(Trouble::Damaged)) { Some(Trouble::Nothing) } else { found.trouble };
    let (Some(start), Some((first, last))) = (found.start, found.ends) else {
        return Opened { trouble: nothing, ..opened };
    };
    opened.trouble = nothing.map(|trouble| if let Trouble::Nothing = trouble { Trouble::Damaged } else { trouble });
    opened.pictures = found.pictures;
    opened.left_out = (last.0 - first.0 + 1).saturating_sub(found.pictures);
    opened.seconds = last.1.saturating_sub(first.1).as_secs_f64();
    let film = out.join(format!("{}.avi", found.entry));
    match write(&film, clip, identity, rate(start, found.pictures, last.1.saturating_sub(first.1)), found.pictures) {
        Ok(()) => opened.film = Some(film),
        Err(trouble) => (opened.trouble, opened.pictures) = (Some(trouble), 0),
    }
    opened
}

fn write(film: &Path, clip: &Path, identity: &Identity, rate: Rate, pictures: u64) -> Result<(), Trouble> {
    if film.exists() {
        return Err(Trouble::Exists(film.to_owned()));
    }
    let mut writer: Option<Film> = None;
    let found = scan_file(clip, identity, pictures, &mut |start, picture| {
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(Film::create(film, start.geometry().ok_or(Trouble::Damaged)?, rate)?),
        };
        Ok(writer.append(picture)?)
    })?;
    match writer {
        // Fewer than a moment ago: somebody is at work there.
        Some(writer) if found.pictures == pictures => Ok(writer.finish()?),
        _ => Err(Trouble::Nothing),
    }
}

/// Films of this kind have one rate: what the stream said, or what its times say if frames were left out or came at their own
/// pace.
fn rate(start: Start, pictures: u64, time: Duration) -> Rate {
    let said = start.rate();
    let due = said.fps() * time.as_secs_f64() + 1.0;
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if (due - pictures as f64).abs() < 0.02 * due + 0.5 {
        return said;
    }
    Rate::average(pictures.saturating_sub(1), micros, 1_000_000).unwrap_or(said)
}

/// What a clip holds, as far as it is genuine.
pub(super) struct Found {
    pub(super) entry: Entry,
    start: Option<Start>,
    pub(super) pictures: u64,
    /// Numbers and times of the first picture and the last.
    ends: Option<(Mark, Mark)>,
    pub(super) trouble: Option<Trouble>,
}

type Mark = (u64, Duration);

fn scan_file(
    clip: &Path,
    identity: &Identity,
    most: u64,
    each: &mut dyn FnMut(Start, &Picture<'_>) -> Result<(), Trouble>,
) -> Result<Found, Trouble> {
    let file = File::open(clip).map_err(Trouble::Read)?;
    scan(BufReader::new(file), identity, most, each)
}

/// Goes through a clip's pictures, `most` of them at most.
pub(super) fn scan(
    clip: impl Read,
    identity: &Identity,
    most: u64,
    each: &mut dyn FnMut(Start, &Picture<'_>) -> Result<(), Trouble>,
) -> Result<Found, Trouble> {
    let mut reader = Reader::open(clip, identity).map_err(|why| match why {
        Unreadable::Io(error) => Trouble::Read(error),
        Unreadable::NoClip => Trouble::NoClip,
        Unreadable::Cut => Trouble::Cut,
        Unreadable::Foreign(owner) => Trouble::OtherOwner(owner),
    })?;
    let mut found = Found { entry: reader.entry(), start: None, pictures: 0, ends: None, trouble: None };
    while found.pictures < most {
        found.trouble = match reader.next().map_err(Trouble::Read)? {
            Next::Cut => Some(Trouble::Cut),
            Next::Damaged => Some(Trouble::Damaged),
            Next::Chunk(chunk) if take(&mut found, &chunk, most, each)? => continue,
            Next::Last(chunk) if is_end(&found, &chunk) => None,
            Next::Chunk(_) | Next::Last(_) => Some(Trouble::Damaged),
        };
        break;
    }
    Ok(found)
}

/// Takes the next chunk in; whether it is one of ours.
fn take(
    found: &mut Found,
    chunk: &[u8],
    most: u64,
    each: &mut dyn FnMut(Start, &Picture<'_>) -> Result<(), Trouble>,
) -> Result<bool, Trouble> {
    let Some(start) = found.start else {
        found.start = borsh::from_slice(chunk).ok().filter(|start: &Start| start.geometry().is_some());
        return Ok(found.start.is_some());
    };
    let before = found.ends.map(|(_, last)| last);
    let pictures = start.geometry().and_then(|geometry| content::pictures(chunk, geometry, before));
    let Some(pictures) = pictures else { return Ok(false) };
    for picture in pictures {
        if found.pictures == most {
            break;
        }
        each(start, &picture)?;
        let mark = (picture.index, picture.time);
        found.ends = Some((found.ends.map_or(mark, |(first, _)| first), mark));
        found.pictures += 1;
    }
    Ok(true)
}

fn is_end(found: &Found, chunk: &[u8]) -> bool {
    borsh::from_slice(chunk).is_ok_and(|end: End| end.pictures == found.pictures)
}

/// Whether these bytes, once opened, would be taken for a chunk of a clip. For fuzzers: nothing of it is given out.
pub fn is_chunk(opened: &[u8]) -> bool {
    let geometry = borsh::from_slice::<Start>(opened).ok().and_then(|start| start.geometry());
    let of = geometry.or_else(|| crate::frame::Geometry::new(crate::frame::PixelFormat::Rgb8, 32, 32).ok());
    geometry.is_some() || of.is_some_and(|of| content::pictures(opened, of, None).is_some())
}

/// Whether this is the file of a clip that is sealed for this identity, whole. For fuzzers: nothing of it is given out.
pub fn is_clip(file: &[u8], identity: &Identity) -> bool {
    let Ok(mut reader) = Reader::open(file, identity) else { return false };
    loop {
        match reader.next() {
            Ok(Next::Chunk(_)) => {}
            Ok(Next::Last(_)) => return true,
            Ok(Next::Cut | Next::Damaged) | Err(_) => return false,
        }
    }
}
