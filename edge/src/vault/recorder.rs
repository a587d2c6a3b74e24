//! Frames into clips: a second of film is a chunk, a minute is a clip, and what the limits leave no room for goes.
//!
//! A failure costs the frames that were just gathered, and the clip in work ends there; with the next second another one is
//! tried. It is told once, loudly, and again when there is room.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use volet_federated::storage::Storage;

use super::VaultError;
use super::clip::{Sealed, Sealer, sealed_length};
use super::content::{self, End, Start};
use super::entry::Entry;
use super::limits::Limits;
use super::plain::Plain;
use super::shelf::Shelf;
use crate::frame::Geometry;
use crate::keep::{Counts, Keep, Kept};
use crate::learn::buffer::Recipient;
use crate::source::Rate;

/// How much film a chunk holds, at most.
const CHUNK: Duration = Duration::from_secs(1);
const CHUNK_BYTES: usize = 1 << 20;

/// Where a vault lies, and what time it is there.
pub(super) trait Place {
    type Storage: Storage;
    /// The folder, for a moment.
    fn open(&mut self) -> Result<Self::Storage, VaultError>;
    /// Bytes of the disk that nobody has yet, if that is known.
    fn free(&self) -> Option<u64>;
    fn now(&self) -> Timestamp;
}

pub(super) struct Recorder<P> {
    place: P,
    path: PathBuf,
    owner: Recipient,
    limits: Limits,
    counts: Arc<Counts>,
    film: Option<Film>,
    clip: Option<Clip>,
    /// Frames that are not sealed yet.
    chunk: Plain,
    chunk_from: Duration,
    chunk_frames: u64,
    /// Bytes of all clips, as far as is known.
    bytes: u64,
    failing: bool,
}

/// What one clip can hold.
#[derive(Clone, Copy)]
struct Film {
    stream: u64,
    geometry: Geometry,
    rate: Rate,
    from: Duration,
    last: Duration,
}

/// The clip that is written to.
struct Clip {
    entry: Entry,
    sealer: Sealer,
    length: u64,
    pictures: u64,
}

impl<P: Place> Recorder<P> {
    pub(super) fn new(place: P, path: PathBuf, owner: Recipient, limits: Limits, counts: Arc<Counts>) -> Self {
        Self {
            place,
            path,
            owner,
            limits,
            counts,
            film: None,
            clip: None,
            chunk: Plain::default(),
            chunk_from: Duration::ZERO,
            chunk_frames: 0,
            bytes: 0,
            failing: false,
        }
    }

    /// Writes what was gathered.
    fn flush(&mut self) {
        let Some(film) = self.film.filter(|_| !self.chunk.is_empty()) else { return };
        let frames = std::mem::take(&mut self.chunk_frames);
        let chunk = std::mem::take(&mut self.chunk);
        match self.write(film, &chunk, frames) {
            Ok(()) => {
                self.counts.frames.fetch_add(frames, Ordering::Relaxed);
                if std::mem::take(&mut self.failing) {
                    tracing::warn!("raw film is kept again");
                }
            }
            Err(error) => {
                self.counts.left_out.fetch_add(frames, Ordering::Relaxed);
                self.fail(&error);
            }
        }
        // Its memory is used again.
        self.chunk = chunk;
        self.chunk.truncate(0);
    }

    fn write(&mut self, film: Film, chunk: &Plain, frames: u64) -> Result<(), VaultError> {
        let mut shelf = Shelf::over(self.place.open()?, &self.path);
        if let Some(clip) = &self.clip
            && !shelf.holds(clip.entry, clip.length)?
        {
            self.clip = None;
        }
        let more = sealed_length(chunk.len());
        // A clip that takes up most of what may be kept could never give way to what follows.
        if self.clip.as_ref().is_some_and(|clip| 2 * (clip.length + more) > self.limits.bytes) {
            self.end(&mut shelf)?;
        }
        let mut clip = match self.clip.take() {
            Some(clip) => clip,
            None => self.begin(&mut shelf, film, more)?,
        };
        self.room(&mut shelf, clip.entry, more)?;
        let sealed = clip.sealer.seal(chunk, false)?;
        self.append(&mut shelf, &mut clip, &sealed)?;
        clip.pictures += frames;
        self.clip = Some(clip);
        Ok(())
    }

    /// Begins a clip, for which there is room.
    fn begin(&mut self, shelf: &mut Shelf<P::Storage>, film: Film, more: u64) -> Result<Clip, VaultError> {
        let now = self.place.now();
        self.bytes = shelf.make_room(&self.limits, None, more + (1 << 10), self.place.free(), now)?;
        let last = shelf.clips()?.last().map_or(0, |(entry, _)| entry.number());
        let number = last.checked_add(1).ok_or_else(|| VaultError::Full(self.path.clone()))?;
        let entry = Entry::new(number, now);
        let start = content::plain(&Start::new(film.geometry, film.rate)).map_err(|_| VaultError::TooLarge)?;
        let (sealer, sealed) = Sealer::begin(&self.owner, entry, &start)?;
        let mut clip = Clip { entry, sealer, length: 0, pictures: 0 };
        self.append(shelf, &mut clip, &sealed)?;
        self.counts.clips.fetch_add(1, Ordering::Relaxed);
        Ok(clip)
    }

    /// Ends the clip that is written to, so that its owner sees that it is whole.
    fn end(&mut self, shelf: &mut Shelf<P::Storage>) -> Result<(), VaultError> {
        let Some(mut clip) = self.clip.take() else { return Ok(()) };
        if !shelf.holds(clip.entry, clip.length)? {
            return Ok(());
        }
        let end = content::plain(&End { pictures: clip.pictures }).map_err(|_| VaultError::TooLarge)?;
        self.room(shelf, clip.entry, sealed_length(end.len()))?;
        let sealed = clip.sealer.seal(&end, true)?;
        self.append(shelf, &mut clip, &sealed)
    }

    /// Sees to it that there is room for so many bytes of a clip.
    fn room(&mut self, shelf: &mut Shelf<P::Storage>, clip: Entry, more: u64) -> Result<(), VaultError> {
        let free = self.place.free();
        if self.limits.is_tight(self.bytes, more, free) {
            self.bytes = shelf.make_room(&self.limits, Some(clip), more, free, self.place.now())?;
        }
        Ok(())
    }

    fn append(&mut self, shelf: &mut Shelf<P::Storage>, clip: &mut Clip, sealed: &Sealed) -> Result<(), VaultError> {
        shelf.append(clip.entry, clip.length, sealed)?;
        let more = sealed.as_bytes().len() as u64;
        clip.length += more;
        self.bytes += more;
        Ok(())
    }

    /// Ends the film in work; what comes next is another clip.
    fn cut(&mut self) {
        self.flush();
        if self.clip.is_some() {
            let ended = self.place.open().and_then(|storage| self.end(&mut Shelf::over(storage, &self.path)));
            if let Err(error) = ended {
                self.fail(&error);
            }
        }
        self.film = None;
    }

    fn fail(&mut self, error: &VaultError) {
        (self.clip, self.film) = (None, None);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "RAW FILM IS NOT KEPT; the camera goes on redacting, and tries to keep what follows");
        }
    }
}

impl<P: Place> Keep for Recorder<P> {
    fn frame(&mut self, kept: Kept) {
        let Kept { stream, rate, frame } = kept;
        let (geometry, time) = (frame.geometry(), frame.time());
        let goes_on = self.film.is_some_and(|film| {
            let same = film.stream == stream && film.geometry == geometry;
            same && time >= film.last && time.saturating_sub(film.from) < self.limits.clip
        });
        if !goes_on {
            self.cut();
        }
        let film = self.film.get_or_insert(Film { stream, geometry, rate, from: time, last: time });
        film.last = time;
        if !self.chunk.is_empty() && time.saturating_sub(self.chunk_from) >= CHUNK {
            self.flush();
        }
        if self.chunk.is_empty() {
            self.chunk_from = time;
        }
        // A flush that failed has ended the film.
        self.film.get_or_insert(Film { stream, geometry, rate, from: time, last: time });
        match content::append(&mut self.chunk, &frame) {
            Ok(()) => self.chunk_frames += 1,
            Err(error) => {
                tracing::warn!(%error, "a frame of raw film cannot be written as a picture, and is left out");
                self.counts.left_out.fetch_add(1, Ordering::Relaxed);
            }
        }
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn idle(&mut self) {
        self.flush();
    }

    fn finish(&mut self) {
        self.cut();
    }
}

#[cfg(test)]
impl<P> Recorder<P> {
    pub(super) fn place_mut(&mut self) -> &mut P {
        &mut self.place
    }
}
