//! What is in a clip's chunks: how the film is made, then pictures, then what there should have been.
//!
//! Whoever can write the folder can seal clips of their own making: what comes out is checked as a stranger's. Knows no keys
//! and no files.

use std::io::{self, Write};
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};

use super::picture;
use super::plain::Plain;
use crate::frame::{Geometry, PixelFormat, RawFrame};
use crate::source::Rate;

/// The first chunk: what all pictures of a clip share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Start {
    width: u32,
    height: u32,
    grey: bool,
    /// What the stream said its rate is: frames per this many seconds.
    rate: (u32, u32),
}

/// The last chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct End {
    /// Pictures of the clip.
    pub(super) pictures: u64,
}

/// One picture out of a clip, opened for its owner. Nobody but the owner's side of the vault makes one.
pub(crate) struct Picture<'a> {
    /// Its number in the stream.
    pub(super) index: u64,
    /// When it was taken, counted from the stream's first.
    pub(super) time: Duration,
    jpeg: &'a [u8],
}

impl Picture<'_> {
    /// The picture's file.
    pub(crate) fn jpeg(&self) -> &[u8] {
        self.jpeg
    }
}

/// Bytes before each picture: number, time in microseconds, length.
const BEFORE: usize = 8 + 8 + 4;

impl Start {
    pub(super) fn new(geometry: Geometry, rate: Rate) -> Self {
        let grey = geometry.format() == PixelFormat::Grey8;
        Self { width: geometry.width(), height: geometry.height(), grey, rate: (rate.num, rate.den) }
    }

    /// Size and layout of the pictures, once decoded; none where there are no such pictures.
    pub(super) fn geometry(&self) -> Option<Geometry> {
        let format = if self.grey { PixelFormat::Grey8 } else { PixelFormat::Rgb8 };
        Geometry::new(format, self.width, self.height).ok()
    }

    /// What the stream said its rate is.
    pub(super) fn rate(&self) -> Rate {
        match self.rate {
            (num, den) if num > 0 && den > 0 => Rate { num, den },
            _ => Rate::ASSUMED,
        }
    }
}

/// Appends a frame to a chunk, as JPEG.
pub(super) fn append(chunk: &mut Plain, frame: &RawFrame) -> io::Result<()> {
    let before = chunk.len();
    let written = append_whole(chunk, frame);
    if written.is_err() {
        chunk.truncate(before);
    }
    written
}

fn append_whole(chunk: &mut Plain, frame: &RawFrame) -> io::Result<()> {
    let micros = u64::try_from(frame.time().as_micros()).unwrap_or(u64::MAX);
    chunk.write_all(&frame.index().to_le_bytes())?;
    chunk.write_all(&micros.to_le_bytes())?;
    chunk.write_all(&[0; 4])?;
    let begun = chunk.len();
    picture::encode(frame, chunk)?;
    let length = u32::try_from(chunk.len() - begun).map_err(|_| io::ErrorKind::FileTooLarge)?;
    chunk.patch(begun - 4, &length.to_le_bytes());
    Ok(())
}

/// The pictures of a chunk; none where it is not one of ours. `last` is the number and the time of the picture before.
pub(super) fn pictures<'a>(
    mut chunk: &'a [u8],
    geometry: Geometry,
    mut last: Option<(u64, Duration)>,
) -> Option<Vec<Picture<'a>>> {
    let mut pictures = Vec::new();
    while !chunk.is_empty() {
        let (before, rest) = chunk.split_at_checked(BEFORE)?;
        let (index, micros, length) = borsh::from_slice::<(u64, u64, u32)>(before).ok()?;
        let (jpeg, rest) = rest.split_at_checked(length as usize)?;
        let time = Duration::from_micros(micros);
        let later = last.is_none_or(|(number, before)| index > number && time >= before);
        if !later || picture::geometry(jpeg) != Some(geometry) {
            return None;
        }
        last = Some((index, time));
        pictures.push(Picture { index, time, jpeg });
        chunk = rest;
    }
    (!pictures.is_empty()).then_some(pictures)
}

/// Makes a chunk of what is written as it is.
pub(super) fn plain(content: &impl BorshSerialize) -> io::Result<Plain> {
    let mut chunk = Plain::default();
    content.serialize(&mut chunk)?;
    Ok(chunk)
}
