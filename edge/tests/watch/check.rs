//! What lies in a folder of segments: whether each is whole, and whether any raw sample is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::feeder::{DARKEST, FRAME, HEIGHT, SHADES, WIDTH};

/// A frame of a segment: covered wholly, or the shade of its open half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Covered,
    Shade(u64),
}

/// The segments by their numbers, each of which is whole. Panics where one is not, or where a raw sample is found.
pub(crate) fn segments(out: &Path) -> BTreeMap<u64, Vec<Seen>> {
    numbers(out).into_iter().map(|(number, path)| (number, segment(&path))).collect()
}

/// What is under final names.
pub(crate) fn numbers(out: &Path) -> BTreeMap<u64, PathBuf> {
    let Ok(entries) = std::fs::read_dir(out) else { return BTreeMap::new() };
    let names = entries.map(|entry| entry.unwrap().path()).filter(|path| !is_hidden(path));
    names.map(|path| (path.file_name().unwrap().to_str().unwrap().parse().unwrap(), path)).collect()
}

/// What is in the making, or was.
pub(crate) fn leftovers(out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| is_hidden(path) && path.file_name().unwrap() != ".volet").collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with('.')
}

/// One segment, whole.
pub(crate) fn segment(path: &Path) -> Vec<Seen> {
    let read = |name: &str| {
        std::fs::read(path.join(name)).unwrap_or_else(|error| panic!("{} has no {name}: {error}", path.display()))
    };
    let json = |name: &str| -> Value { serde_json::from_slice(&read(name)).unwrap() };
    let (frames, rest) = film(&read("media/000001.y4m"));
    assert!(!rest && !frames.is_empty(), "{}: its film is cut off", path.display());
    let summary = json("summary.json");
    assert_eq!(summary["media"][0]["frames"], frames.len() as u64, "{}", path.display());
    let covered = frames.iter().filter(|frame| **frame == Seen::Covered).count() as u64;
    assert_eq!(summary["media"][0]["covered_frames"], covered, "{}", path.display());
    assert!(summary["wear"]["ever"].as_u64().unwrap() > 0);
    assert!(json("annotations/coco.json")["images"].is_array());
    assert!(read("index.html").ends_with(b"</html>"), "{}: its page is cut off", path.display());
    let names = |folder: &str| std::fs::read_dir(path.join(folder)).unwrap().count();
    assert_eq!((names("media"), names("annotations"), names("")), (1, 1, 4), "{}", path.display());
    // One after the other, none twice, none left out.
    let shades: Vec<u64> =
        frames.iter().filter_map(|seen| if let Seen::Shade(n) = seen { Some(*n) } else { None }).collect();
    assert!(shades.windows(2).all(|pair| (pair[0] + 1) % SHADES == pair[1]), "{}: {shades:?}", path.display());
    frames
}

/// The whole frames of a film, and whether more follows. Panics at a raw sample.
pub(crate) fn film(bytes: &[u8]) -> (Vec<Seen>, bool) {
    let Some(header) = bytes.iter().position(|byte| *byte == b'\n') else { return (Vec::new(), !bytes.is_empty()) };
    let (frames, rest) = bytes[header + 1..].as_chunks::<{ 6 + FRAME }>();
    (frames.iter().map(|frame| seen(&frame[6..])).collect(), !rest.is_empty())
}

fn seen(frame: &[u8]) -> Seen {
    let (luma, chroma) = frame.split_at(WIDTH * HEIGHT);
    let left = |width: usize| move |at: &usize| at % width < width / 2;
    let secret = (0..luma.len()).filter(left(WIDTH)).all(|at| luma[at] == 16)
        && (0..chroma.len()).filter(left(WIDTH / 2)).all(|at| chroma[at] == 128);
    assert!(secret, "A RAW SAMPLE");
    let shade = luma[WIDTH / 2];
    let open = (0..luma.len()).filter(|at| at % WIDTH >= WIDTH / 2);
    assert!(open.map(|at| luma[at]).all(|value| value == shade), "a frame is torn");
    if shade == 16 { Seen::Covered } else { Seen::Shade(u64::from(shade - DARKEST)) }
}

/// Looks through what a kill left behind for raw samples.
pub(crate) fn nothing_raw_is_left(out: &Path) {
    for left in leftovers(out) {
        for path in files(&left) {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if bytes.starts_with(b"YUV4MPEG2") {
                film(&bytes);
            }
        }
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| files(&path)).collect()
}
