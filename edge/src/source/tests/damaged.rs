//! Pictures and films with oddities, cuts, damage and claims that nothing stands behind.

use std::io::Cursor;

use image::{ImageEncoder, ImageFormat};
use proptest::prelude::*;

use super::*;
use crate::frame::PixelFormat;

/// An AVI and an MJPEG stream of `count` pictures of 32x24.
fn motion_jpeg(dir: &Path, count: u64) -> (Vec<u8>, Vec<Vec<u8>>) {
    use crate::sink::{SinkOptions, create};
    let path = dir.join("made.avi");
    let geometry = Geometry::new(PixelFormat::Rgb8, 32, 24).unwrap();
    let rate = Rate { num: 30_000, den: 1001 };
    let info = StreamInfo { kind: MediaKind::Mjpeg, geometry, color: Color::JPEG, rate, frames: None };
    let mut sink = create(&path, MediaKind::Mjpeg, &info, &SinkOptions::default()).unwrap();
    for n in 0..count {
        let bytes: Vec<u8> = (0..geometry.bytes()).map(|i| (i / 24 + n as usize * 9) as u8).collect();
        let frame = RawFrame::new(n, rate.time_of(n), geometry, Color::JPEG, bytes).unwrap();
        sink.write(&crate::redact::Redacted::for_tests(frame)).unwrap();
    }
    sink.finish().unwrap();
    let avi = std::fs::read(path).unwrap();
    let (mut reader, mut pictures, mut picture) = (&avi[..], Vec::new(), Vec::new());
    while jpeg::read_one(&mut reader, &mut picture).unwrap() == jpeg::Ended::Whole {
        pictures.push(picture.clone());
    }
    assert_eq!(pictures.len() as u64, count);
    (avi, pictures)
}

#[test]
fn motion_jpeg_goes_on_after_a_damaged_picture() {
    let dir = tempfile::tempdir().unwrap();
    let (mut avi, pictures) = motion_jpeg(dir.path(), 6);
    let (avi_path, bare_path) = (dir.path().join("x.avi"), dir.path().join("x.mjpg"));
    std::fs::write(&bare_path, pictures.concat()).unwrap();
    let (info, outcome) = read(&bare_path);
    assert_eq!((info.kind, outcome.frames.len(), outcome.lost.len()), (MediaKind::Mjpeg, 6, 0));

    // The third picture's start marker is gone, its frame is not.
    let third = avi.windows(pictures[2].len()).position(|w| w == pictures[2]).unwrap();
    avi[third] = 0;
    std::fs::write(&avi_path, &avi).unwrap();
    let (info, outcome) = read(&avi_path);
    assert_eq!((info.rate, info.frames), (Rate { num: 30_000, den: 1001 }, Some(6)));
    assert_eq!((outcome.frames.len(), outcome.lost, outcome.error.is_none()), (5, vec![2], true));

    // A bare stream: the fourth picture ends in its middle.
    let cut = &pictures[3][..pictures[3].len() - 30];
    std::fs::write(&bare_path, [&pictures[..3].concat()[..], cut, &pictures[4], &pictures[5]].concat()).unwrap();
    let (_, outcome) = read(&bare_path);
    assert_eq!((outcome.frames.len(), outcome.lost), (5, vec![3]));
}

#[test]
fn avi_files_of_other_programs_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.avi");
    for options in ["-c:v mjpeg -q:v 3 -pix_fmt yuvj420p", "-f lavfi -i sine=d=2 -c:v mjpeg -pix_fmt yuvj422p -c:a mp2"]
    {
        let Some(()) = ffmpeg(&format!("{} {options}", clip()), &path) else { return };
        let (info, outcome) = read(&path);
        assert_eq!((info.kind, info.rate, info.frames), (MediaKind::Mjpeg, Rate { num: 30, den: 1 }, Some(60)));
        assert_eq!((outcome.frames.len(), outcome.lost.len(), outcome.error.is_none()), (60, 0, true));
    }
}

#[test]
fn an_empty_avi_chunk_repeats_the_picture_and_junk_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (avi, _) = motion_jpeg(dir.path(), 2);
    let index = avi.windows(4).position(|w| w == b"ix00").unwrap();
    let extra =
        [&b"JUNK\x03\0\0\0abc\0LIST\x04\0\0\0rec 00dc\0\0\0\0RIFF\0\0\0\0AVIXLIST\0\0\0\0movi"[..], &avi[index..]];
    let mut made = avi::Avi::new(Cursor::new([&avi[..index], &extra.concat()].concat())).unwrap();
    let pool = FramePool::new();
    let mut frames = Vec::new();
    while let Next::Frame(frame) = made.next_frame(&pool).unwrap() {
        frames.push(frame);
    }
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[1].pixels(), frames[2].pixels());
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let bytes: Vec<u8> = (0..width * height * 3).map(|i| (i % 255) as u8).collect();
    let mut out = Vec::new();
    image::codecs::png::PngEncoder::new(&mut out)
        .write_image(&bytes, width, height, image::ExtendedColorType::Rgb8)
        .unwrap();
    out
}

fn jpeg_of(exif_orientation: Option<u8>, color: jpeg_encoder::ColorType) -> Vec<u8> {
    let (w, h) = (24u16, 16u16);
    let samples = match color {
        jpeg_encoder::ColorType::Luma => 1,
        jpeg_encoder::ColorType::Rgb => 3,
        _ => 4,
    };
    // The left half is dark.
    let bytes =
        (0..h).flat_map(|_| (0..w).flat_map(move |x| std::iter::repeat_n(if x < w / 2 { 20u8 } else { 220 }, samples)));
    let bytes: Vec<u8> = bytes.collect();
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 95);
    if let Some(orientation) = exif_orientation {
        // TIFF, little endian, one entry: tag 0x112, SHORT, one value.
        let tiff = [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[orientation, 0, 0, 0][..], &[0; 4]].concat();
        encoder.add_exif_metadata(&tiff).unwrap();
    }
    encoder.encode(&bytes, w, h, color).unwrap();
    out
}

fn written(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn jpegs_come_upright_and_in_their_colours() {
    let dir = tempfile::tempdir().unwrap();
    use jpeg_encoder::ColorType;
    for (exif, size, dark) in [
        (None, (24, 16), (0, 8)),
        (Some(1), (24, 16), (0, 8)),
        (Some(2), (24, 16), (23, 8)),
        (Some(3), (24, 16), (23, 8)),
        (Some(6), (16, 24), (8, 0)),
        (Some(8), (16, 24), (8, 23)),
        (Some(5), (16, 24), (8, 0)),
        (Some(77), (24, 16), (0, 8)),
    ] {
        // The extension lies: content decides.
        let path = written(dir.path(), "x.png", &jpeg_of(exif, ColorType::Rgb));
        let (info, outcome) = read(&path);
        assert_eq!((info.kind, info.geometry.format()), (MediaKind::Jpeg, PixelFormat::Rgb8));
        assert_eq!((info.geometry.width(), info.geometry.height()), size, "{exif:?}");
        let at = |(x, y): (usize, usize)| outcome.frames[0].pixels()[(y * size.0 as usize + x) * 3];
        assert!(at(dark) < 60, "{exif:?}");
        let opposite = (size.0 as usize - 1 - dark.0, size.1 as usize - 1 - dark.1);
        assert!(at(opposite) > 180, "{exif:?}");
    }
    let grey = written(dir.path(), "grey.jpg", &jpeg_of(None, ColorType::Luma));
    assert_eq!(read(&grey).0.geometry.format(), PixelFormat::Grey8);
    for color in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let path = written(dir.path(), "cmyk.jpg", &jpeg_of(None, color));
        let (info, outcome) = read(&path);
        assert_eq!((info.geometry.format(), outcome.frames.len()), (PixelFormat::Rgb8, 1), "{color:?}");
    }
    // A phone's motion photo: a video follows the picture.
    let tail = [jpeg_of(None, ColorType::Rgb), b"\0\0\0\x18ftypmp42 and so on".to_vec()].concat();
    assert_eq!(read(&written(dir.path(), "motion.jpg", &tail)).1.frames.len(), 1);
}

#[test]
fn deep_and_transparent_pictures_become_plain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.png");
    image::RgbaImage::from_raw(2, 1, vec![10, 20, 30, 255, 0, 0, 0, 0]).unwrap().save(&path).unwrap();
    assert_eq!(read(&path).1.frames[0].pixels(), [10, 20, 30, 255, 255, 255]);
    let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(3, 1, vec![0u16, 257 * 100, 65_535]).unwrap();
    deep.save(&path).unwrap();
    let (info, outcome) = read(&path);
    assert_eq!(info.geometry.format(), PixelFormat::Grey8);
    assert_eq!(outcome.frames[0].pixels(), [0, 100, 255]);
    let webp = dir.path().join("x.webp");
    image::RgbaImage::from_raw(1, 1, vec![0, 0, 0, 0]).unwrap().save_with_format(&webp, ImageFormat::WebP).unwrap();
    assert_eq!(read(&webp).1.frames[0].pixels(), [255, 255, 255]);
}

/// A PNG header that promises `width` x `height` and nothing behind it.
fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(1, 1);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    // CRC-32 of the header chunk.
    let crc = !bytes[12..29].iter().fold(u32::MAX, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    });
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn bombs_are_refused_from_their_headers() {
    let dir = tempfile::tempdir().unwrap();
    let mut jpeg = jpeg_of(None, jpeg_encoder::ColorType::Rgb);
    let sof = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[sof + 5..sof + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    for (name, bytes) in [
        ("bomb.png", png_bomb(100_000, 100_000)),
        ("wide.png", png_bomb(16_385, 1)),
        ("bomb.jpg", jpeg),
        ("bomb.y4m", b"YUV4MPEG2 W100000 H100000 F25:1\nFRAME\n".to_vec()),
    ] {
        let error = open(&written(dir.path(), name, &bytes), &native()).err().unwrap();
        assert!(matches!(error, SourceError::Frame { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name) && error.to_string().contains("scale it down"), "{error}");
    }
    let empty = open(&written(dir.path(), "empty.png", &png_bomb(0, 7)), &native()).err().unwrap();
    assert!(matches!(empty, SourceError::Frame { .. } | SourceError::Corrupt { .. }), "{empty}");
}

#[test]
fn every_truncation_of_a_picture_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut webp = Vec::new();
    let rgb: Vec<u8> = (0..40 * 30 * 3).map(|i| (i * i % 251) as u8).collect();
    image::codecs::webp::WebPEncoder::new_lossless(&mut webp)
        .encode(&rgb, 40, 30, image::ExtendedColorType::Rgb8)
        .unwrap();
    for (name, bytes, spare) in [
        // After the picture's own data a PNG has 12 bytes that say so, and its last check value.
        ("x.png", png(30, 20), 16),
        ("x.jpg", jpeg_of(Some(6), jpeg_encoder::ColorType::Rgb), 0),
        ("x.webp", webp, 1),
    ] {
        for cut in 0..bytes.len() {
            let path = written(dir.path(), name, &bytes[..cut]);
            let failed = match open(&path, &native()) {
                Err(_) => true,
                Ok(mut source) => drain(source.as_mut()).error.is_some(),
            };
            assert!(failed || cut + spare >= bytes.len(), "{name} cut at {cut} of {}", bytes.len());
        }
    }
}

/// A small MP4 as this program writes it, with `count` frames of 48x32.
fn small_mp4(dir: &Path, count: u64) -> Vec<u8> {
    use crate::sink::{SinkOptions, create};
    let path = dir.join("made.mp4");
    let geometry = Geometry::new(PixelFormat::I420, 48, 32).unwrap();
    let rate = Rate { num: 10, den: 1 };
    let info = StreamInfo { kind: MediaKind::Mp4, geometry, color: Color::untagged(32), rate, frames: None };
    let mut sink = create(&path, MediaKind::Mp4, &info, &SinkOptions::default()).unwrap();
    for n in 0..count {
        let bytes: Vec<u8> = (0..geometry.bytes()).map(|i| (i * 7 + n as usize * 31) as u8).collect();
        let frame = RawFrame::new(n, rate.time_of(n), geometry, info.color, bytes).unwrap();
        sink.write(&crate::redact::Redacted::for_tests(frame)).unwrap();
    }
    sink.finish().unwrap();
    std::fs::read(path).unwrap()
}

fn drain_mp4(bytes: &[u8]) -> (usize, bool) {
    let Ok(mut movie) = mp4::Mp4::new(Cursor::new(bytes), bytes.len() as u64) else { return (0, true) };
    if movie.info().geometry.pixels() > 1 << 20 {
        return (0, true);
    }
    let pool = FramePool::new();
    let mut count = 0;
    loop {
        match movie.next_frame(&pool) {
            Ok(Next::Frame(_)) => count += 1,
            Ok(Next::Lost { .. }) => {}
            Ok(Next::End) => return (count, false),
            Err(_) => return (count, true),
        }
        assert!(count < 10_000);
    }
}

fn drain_avi(bytes: &[u8]) -> (usize, bool) {
    let Ok(mut film) = avi::Avi::new(bytes) else { return (0, true) };
    if film.info().geometry.pixels() > 1 << 20 {
        return (0, true);
    }
    let pool = FramePool::new();
    let mut count = 0;
    loop {
        match film.next_frame(&pool) {
            Ok(Next::Frame(_)) => count += 1,
            Ok(Next::Lost { .. }) => {}
            Ok(Next::End) => return (count, false),
            Err(_) => return (count, true),
        }
    }
}

/// The index of an MP4 put before its frames, as for streaming, so that a cut leaves frames to read.
fn index_first(mp4: &[u8]) -> Vec<u8> {
    let mdat = mp4.windows(4).position(|w| w == b"mdat").unwrap() - 4;
    let moov = mp4.windows(4).position(|w| w == b"moov").unwrap() - 4;
    let mut index = mp4[moov..].to_vec();
    let stco = index.windows(4).position(|w| w == b"stco").unwrap();
    let entries = u32::from_be_bytes(index[stco + 8..stco + 12].try_into().unwrap()) as usize;
    let shift = index.len() as u32;
    for entry in index[stco + 12..].chunks_exact_mut(4).take(entries) {
        let offset = u32::from_be_bytes(entry.try_into().unwrap());
        entry.copy_from_slice(&(offset + shift).to_be_bytes());
    }
    [&mp4[..mdat], &index, &mp4[mdat..moov]].concat()
}

#[test]
fn every_truncation_of_a_film_gives_the_frames_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mp4 = small_mp4(dir.path(), 4);
    assert_eq!(drain_mp4(&mp4), (4, false));
    let streamed = index_first(&mp4);
    assert_eq!(drain_mp4(&streamed), (4, false));
    for cut in (0..mp4.len()).step_by(3) {
        assert!(drain_mp4(&mp4[..cut]).1, "an MP4 without its index is an error");
        let (count, failed) = drain_mp4(&streamed[..cut]);
        assert!(count < 4 && failed, "cut at {cut}: {count} frames");
    }
    let (avi, _) = motion_jpeg(dir.path(), 3);
    assert_eq!(drain_avi(&avi), (3, false));
    let mut most = 0;
    for cut in 0..avi.len() {
        let (count, _) = drain_avi(&avi[..cut]);
        assert!(count >= most && count <= 3, "cut at {cut}");
        most = most.max(count);
    }
}

#[test]
fn claims_beyond_the_file_cost_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mp4 = small_mp4(dir.path(), 3);
    // 4,294,967,295 samples of one byte.
    let mut bomb = mp4.clone();
    let stsz = bomb.windows(4).position(|w| w == b"stsz").unwrap();
    bomb[stsz + 8..stsz + 16].copy_from_slice(&[0, 0, 0, 1, 255, 255, 255, 255]);
    let _ = mp4::Mp4::new(Cursor::new(&bomb[..]), bomb.len() as u64).map(|m| m.info().frames);
    // A sample of 4 GB; a box of 2^63 bytes.
    let mut large = mp4.clone();
    large[stsz + 16..stsz + 20].copy_from_slice(&[255; 4]);
    assert!(drain_mp4(&large).1);
    let mut boxed = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x01moov".to_vec();
    boxed.extend_from_slice(&[0x7f; 8]);
    assert!(drain_mp4(&boxed).1);
    // A chunk of 4 GB in an AVI.
    let (mut avi, _) = motion_jpeg(dir.path(), 2);
    let chunk = avi.windows(8).rposition(|w| &w[..4] == b"00dc" && w[6] == 0 && w[7] == 0).unwrap();
    avi[chunk + 4..chunk + 8].copy_from_slice(&[255, 255, 255, 15]);
    assert!(drain_avi(&avi).0 <= 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_films_never_panic(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        thread_local! {
            static FILMS: (Vec<u8>, Vec<u8>) = {
                let dir = tempfile::tempdir().unwrap();
                (index_first(&small_mp4(dir.path(), 3)), motion_jpeg(dir.path(), 3).0)
            };
        }
        FILMS.with(|(mp4, avi)| {
            let damage = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                for (place, byte) in &places {
                    *place.get_mut(&mut bytes) = *byte;
                }
                bytes
            };
            // The index is where damage is interesting: half of the cases go there.
            let mut head = damage(&mp4[..mp4.len() / 2]);
            head.extend_from_slice(&mp4[mp4.len() / 2..]);
            drain_mp4(&head);
            drain_mp4(&damage(mp4));
            let mut head = damage(&avi[..400]);
            head.extend_from_slice(&avi[400..]);
            drain_avi(&head);
            drain_avi(&damage(avi));
            mjpeg::count_frames(&damage(avi));
        });
    }
}
