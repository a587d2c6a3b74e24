//! Places in a file that could hold a picture besides the picture: EXIF thumbnails, comments, user data, messages between
//! frames, bytes after the end. Counts what is not known to be harmless.

use volet_edge::source::MediaKind;

use super::report::{Role, Row};
use super::residue;

pub(crate) fn run() -> Vec<Row> {
    let mut rows = Vec::new();
    for (kind, file) in residue::samples() {
        let attack = format!("other carriers in {}", kind.extension());
        let measure = "segments of unknown use";
        rows.push(Row::count(&attack, "Volet mosaic", Role::Volet, measure, strange(kind, &file)));
        let (what, faulty) = planted(kind, &file);
        rows.push(Row::count(&attack, what, Role::Planted, measure, strange(kind, &faulty)));
    }
    rows
}

/// The same file with something added.
fn planted(kind: MediaKind, file: &[u8]) -> (&'static str, Vec<u8>) {
    match kind {
        MediaKind::Jpeg => {
            let thumbnail = [&[0xff, 0xe1, 0, 12][..], b"Exif\0\0face"].concat();
            ("an EXIF segment added", [&file[..2], &thumbnail, &file[2..]].concat())
        }
        MediaKind::Mp4 => ("a udta box added", [file, &[0, 0, 0, 12], b"udtaface"].concat()),
        _ => ("a JUNK chunk added", [file, b"JUNK", &[4, 0, 0, 0], b"face"].concat()),
    }
}

fn strange(kind: MediaKind, file: &[u8]) -> usize {
    match kind {
        MediaKind::Jpeg => in_jpeg(file),
        MediaKind::Mp4 => in_boxes(file),
        _ => in_riff(file),
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    bytes[at..at + 4].iter().fold(0, |w, b| w << 8 | usize::from(*b))
}

/// Segments of a JPEG file that are not known.
///
/// Known: JFIF's own head without a thumbnail, tables, the frame, the scan, the end; nothing after it.
pub(crate) fn in_jpeg(file: &[u8]) -> usize {
    let (mut at, mut strange) = (2, usize::from(file[..2] != [0xff, 0xd8]));
    while at + 4 <= file.len() {
        let (marker, length) = (file[at + 1], usize::from(file[at + 2]) << 8 | usize::from(file[at + 3]));
        match marker {
            0xe0 => strange += usize::from(length != 16 || &file[at + 4..at + 9] != b"JFIF\0"),
            0xdb | 0xc4 | 0xc0 | 0xdd => {}
            0xda => {
                // The scan ends at the first marker that is not part of it.
                let scan = at + 2 + length;
                let end = (scan..file.len() - 1).find(|&i| file[i] == 0xff && !matches!(file[i + 1], 0 | 0xd0..=0xd7));
                let whole = end.is_some_and(|e| file[e + 1] == 0xd9 && e + 2 == file.len());
                return strange + usize::from(!whole);
            }
            _ => strange += 1,
        }
        at += 2 + length;
    }
    strange + 1
}

/// Known: what a film's index needs. In the film itself, slices only: no messages (SEI), in which encoders put text.
fn in_boxes(file: &[u8]) -> usize {
    const HOLDERS: [&[u8]; 6] = [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"];
    const KNOWN: [&[u8]; 13] = [
        b"ftyp", b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"vmhd", b"dref", b"stsd", b"stts", b"stss", b"stsc", b"stsz",
        b"stco",
    ];
    let (mut at, mut strange) = (0, 0);
    while at + 8 <= file.len() {
        let (short, name) = (word(file, at), &file[at + 4..at + 8]);
        let (head, length) = if short == 1 { (16, word(file, at + 12)) } else { (8, short) };
        let content = &file[at + head..at + length.max(head)];
        strange += match name {
            b"mdat" => in_film(content),
            _ if HOLDERS.contains(&name) => in_boxes(content),
            _ => usize::from(!KNOWN.contains(&name)),
        };
        at += length.max(head);
    }
    strange + file.len() - at
}

fn in_film(film: &[u8]) -> usize {
    let (mut at, mut strange) = (0, 0);
    while at + 5 <= film.len() {
        let length = word(film, at);
        strange += usize::from(!matches!(film[at + 4] & 0x1f, 1 | 5));
        at += 4 + length;
    }
    strange + film.len().abs_diff(at)
}

/// Known: heads, indexes, and pictures that are themselves looked at.
fn in_riff(file: &[u8]) -> usize {
    let (mut at, mut strange) = (0, 0);
    while at + 8 <= file.len() {
        let (name, length) = (&file[at..at + 4], word(&[file[at + 7], file[at + 6], file[at + 5], file[at + 4]], 0));
        let content = &file[at + 8..at + 8 + length];
        strange += match name {
            b"RIFF" | b"LIST" => in_riff(&content[4..]),
            b"00dc" => in_jpeg(content),
            b"avih" | b"strh" | b"strf" | b"indx" | b"dmlh" | b"ix00" | b"idx1" => 0,
            _ => 1,
        };
        at += 8 + length.next_multiple_of(2);
    }
    strange + file.len().abs_diff(at)
}
