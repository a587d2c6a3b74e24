//! Every kind there and back again, through real files; `ffprobe` looks on where it is installed.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::frame::{Color, FramePool, PixelFormat, RawFrame};
use crate::source::{self, Next, OpenOptions, Rate};

/// A moving gradient with a bright square: content that codecs keep well.
fn picture(geometry: Geometry, index: u64) -> Vec<u8> {
    let mut bytes = vec![0; geometry.bytes()];
    for plane in geometry.planes() {
        for y in 0..plane.height {
            for x in 0..plane.width {
                for c in 0..plane.channels {
                    let (px, py) = (x << plane.shift_x, y << plane.shift_y);
                    let square = (px + py) / 16 % 2 == 0;
                    let value = match plane.chroma {
                        true => 100 + c * 20 + (px / 8) % 20,
                        false => 40 + (px + py + index as usize * 2) % 100 + if square { 40 } else { 0 } + c * 5,
                    };
                    bytes[plane.offset + y * plane.stride + x * plane.step + c] = value as u8;
                }
            }
        }
    }
    bytes
}

fn stream(kind: MediaKind, format: PixelFormat, width: u32, height: u32) -> StreamInfo {
    StreamInfo {
        kind,
        geometry: Geometry::new(format, width, height).unwrap(),
        color: Color::untagged(height),
        rate: Rate { num: 30_000, den: 1001 },
        frames: None,
    }
}

fn frame(info: &StreamInfo, index: u64, time: Duration) -> Redacted {
    let frame = RawFrame::new(index, time, info.geometry, info.color, picture(info.geometry, index));
    Redacted::for_tests(frame.unwrap())
}

fn write(path: &Path, info: &StreamInfo, frames: u64) {
    let mut sink = create(path, info.kind, info, &SinkOptions::default()).unwrap();
    for n in 0..frames {
        sink.write(&frame(info, n, info.rate.time_of(n))).unwrap();
    }
    assert_eq!(sink.finish().unwrap(), path);
}

/// All frames of a file; panics on a lost one.
fn read(path: &Path) -> (StreamInfo, Vec<RawFrame>) {
    let mut source = source::open(path, &OpenOptions::default()).unwrap();
    let pool = FramePool::new();
    let mut frames = Vec::new();
    loop {
        match source.next(&pool).unwrap() {
            Next::Frame(f) => {
                assert_eq!(f.index(), frames.len() as u64);
                frames.push(f);
            }
            Next::Lost { index, reason, .. } => panic!("frame {index} lost: {reason}"),
            Next::End => return (source.info().clone(), frames),
        }
    }
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// One field of the first video stream, or `None` where ffprobe is not installed.
fn ffprobe(path: &Path, entry: &str) -> Option<String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", "v:0", "-count_frames", "-of", "csv=p=0", "-show_entries"]);
    match command.arg(format!("stream={entry}")).arg(path).output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).trim().trim_end_matches(',').to_owned()),
        Err(_) => {
            eprintln!("skipped: ffprobe is not installed");
            None
        }
    }
}

#[test]
fn pictures_come_back() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, loss) in [(MediaKind::Png, 0.0), (MediaKind::Webp, 0.0), (MediaKind::Jpeg, 3.0)] {
        for (format, w, h) in [
            (PixelFormat::Rgb8, 33, 17),
            (PixelFormat::Rgb8, 1, 1),
            (PixelFormat::Grey8, 20, 31),
            (PixelFormat::I420, 36, 20),
            (PixelFormat::I444, 35, 21),
            (PixelFormat::Nv12, 31, 15),
            (PixelFormat::Yuyv, 32, 15),
        ] {
            let path = dir.path().join(format!("x.{}", kind.extension()));
            let info = stream(kind, format, w, h);
            write(&path, &info, 1);
            let (read_info, frames) = read(&path);
            assert_eq!((read_info.kind, frames.len()), (kind, 1));
            let back = read_info.geometry;
            assert_eq!((back.width(), back.height()), (w, h));
            if format == PixelFormat::Rgb8 || format == PixelFormat::Grey8 && kind != MediaKind::Webp {
                assert_eq!(back.format(), format, "{kind:?}");
                let difference = mean_difference(frames[0].pixels(), &picture(info.geometry, 0));
                assert!(difference <= loss, "{kind:?} {format:?} {difference}");
            } else {
                // What a viewer sees is what the RGB of the frame is.
                let original = frame(&info, 0, Duration::ZERO);
                let mut scratch = Vec::new();
                let difference = mean_difference(frames[0].pixels(), pixels::rgb(&original, &mut scratch));
                assert!(difference <= loss, "{kind:?} {format:?} {difference}");
            }
        }
    }
}

#[test]
fn y4m_comes_back_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    for (format, back) in [
        (PixelFormat::I420, PixelFormat::I420),
        (PixelFormat::I422, PixelFormat::I422),
        (PixelFormat::I444, PixelFormat::I444),
        (PixelFormat::Grey8, PixelFormat::Grey8),
        (PixelFormat::Nv12, PixelFormat::I420),
        (PixelFormat::Yuyv, PixelFormat::I422),
    ] {
        let path = dir.path().join("x.y4m");
        let info = stream(MediaKind::Y4m, format, 38, 21);
        write(&path, &info, 5);
        let (read_info, frames) = read(&path);
        assert_eq!((read_info.geometry.format(), read_info.rate), (back, info.rate));
        assert_eq!((frames.len(), read_info.frames), (5, Some(5)));
        if format == back {
            assert_eq!(frames[3].pixels(), picture(info.geometry, 3));
        }
        assert_eq!(frames[4].time(), info.rate.time_of(4));
        if let Some(probed) = ffprobe(&path, "width,height,avg_frame_rate,nb_read_frames") {
            assert_eq!(probed, "38,21,30000/1001,5", "{format:?}");
        }
    }
}

#[test]
fn mp4_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    for (format, w, h) in [
        (PixelFormat::I420, 64, 48),
        (PixelFormat::I420, 130, 74),
        (PixelFormat::Nv12, 66, 50),
        (PixelFormat::Yuyv, 64, 34),
        (PixelFormat::Rgb8, 98, 62),
        (PixelFormat::Grey8, 64, 48),
        (PixelFormat::I444, 64, 48),
        (PixelFormat::I420, 37, 29),
        (PixelFormat::I420, 2, 2),
    ] {
        let path = dir.path().join("x.mp4");
        let info = stream(MediaKind::Mp4, format, w, h);
        write(&path, &info, 70);
        let (read_info, frames) = read(&path);
        let (even_w, even_h) = (w.next_multiple_of(2), h.next_multiple_of(2));
        let back = read_info.geometry;
        assert_eq!((back.format(), back.width(), back.height()), (PixelFormat::I420, even_w, even_h));
        assert_eq!((frames.len(), read_info.frames, read_info.rate), (70, Some(70), info.rate), "{format:?} {w}x{h}");
        assert_eq!(read_info.color, info.color);
        for (n, f) in frames.iter().enumerate() {
            let off = f.time().abs_diff(info.rate.time_of(n as u64));
            assert!(off < Duration::from_micros(100), "frame {n} is off by {off:?}");
        }
        let original = frame(&info, 40, Duration::ZERO);
        let mut scratch = pixels::Scratch::default();
        let want = pixels::I420::new(&original, &mut scratch);
        let want = openh264::formats::YUVSource::y(&want);
        let difference = mean_difference(&frames[40].pixels()[..want.len()], want);
        assert!(difference < 6.0, "{format:?} {w}x{h}: {difference}");
        if let Some(probed) = ffprobe(&path, "width,height,avg_frame_rate,nb_frames,nb_read_frames") {
            assert_eq!(probed, format!("{even_w},{even_h},30000/1001,70,70"));
        }
    }
}

#[test]
fn frames_of_an_mp4_keep_their_own_times() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vfr.mp4");
    let info = stream(MediaKind::Mp4, PixelFormat::I420, 64, 48);
    let times: Vec<Duration> = [0, 33, 34, 100, 500, 2033].map(Duration::from_millis).to_vec();
    let mut sink = create(&path, MediaKind::Mp4, &info, &SinkOptions::default()).unwrap();
    for (n, &time) in times.iter().enumerate() {
        sink.write(&frame(&info, n as u64, time)).unwrap();
    }
    sink.finish().unwrap();
    let (_, frames) = read(&path);
    for (f, want) in frames.iter().zip(times) {
        assert!(f.time().abs_diff(want) < Duration::from_micros(50), "{:?} {want:?}", f.time());
    }
}

#[test]
fn an_unfinished_sink_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mp4");
    std::fs::write(&path, b"what was there before").unwrap();
    let info = stream(MediaKind::Mp4, PixelFormat::I420, 64, 48);
    let mut sink = create(&path, MediaKind::Mp4, &info, &SinkOptions::default()).unwrap();
    sink.write(&frame(&info, 0, Duration::ZERO)).unwrap();
    drop(sink);
    assert_eq!(std::fs::read(&path).unwrap(), b"what was there before");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn wrong_frames_and_targets_are_errors_that_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.png");
    let info = stream(MediaKind::Png, PixelFormat::Rgb8, 8, 8);
    let other = stream(MediaKind::Png, PixelFormat::Rgb8, 9, 8);
    let mut sink = create(&path, MediaKind::Png, &info, &SinkOptions::default()).unwrap();
    let error = sink.write(&frame(&other, 0, Duration::ZERO)).unwrap_err();
    assert!(matches!(error, SinkError::Changed { .. }) && error.to_string().contains("x.png"), "{error}");
    assert!(sink.finish().unwrap_err().to_string().contains("no frame"));

    let missing = dir.path().join("none/x.png");
    let error = create(&missing, MediaKind::Png, &info, &SinkOptions::default()).err().unwrap();
    assert!(matches!(error, SinkError::Io { .. }) && error.to_string().contains("none/x.png"), "{error}");

    let wide = stream(MediaKind::Mp4, PixelFormat::I420, 4096, 16);
    let error = create(&path, MediaKind::Mp4, &wide, &SinkOptions::default()).err().unwrap();
    assert!(error.to_string().contains("3840x2160"), "{error}");
    assert!(!path.exists());
}

/// A disk that is full after `room` bytes.
struct Full {
    at: u64,
    room: u64,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.at += bytes.len() as u64;
        if self.at > self.room { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(self.at)
    }
}

#[test]
fn a_full_disk_is_told_by_every_format() {
    for kind in
        [MediaKind::Jpeg, MediaKind::Png, MediaKind::Webp, MediaKind::Y4m, MediaKind::Mjpeg, MediaKind::Mp4]
    {
        let info = stream(kind, PixelFormat::I420, 64, 48);
        let frames = if kind.is_still() { 1 } else { 4 };
        let attempt = |room| {
            let mut out = Full { at: 0, room };
            let mut encoder = encoder(kind, &info, &SinkOptions::default(), &mut out)?;
            for n in 0..frames {
                encoder.write(&frame(&info, n, info.rate.time_of(n)), &mut out)?;
            }
            encoder.finish(&mut out)?;
            Ok::<_, Fail>(out.at)
        };
        let size = attempt(u64::MAX).unwrap();
        for room in [0, 30, size / 2, size - 1] {
            let fail = attempt(room).unwrap_err();
            assert!(matches!(&fail, Fail::Io(e) if e.kind() == io::ErrorKind::StorageFull), "{kind:?} {room} {fail:?}");
        }
    }
    if Path::new("/dev/full").exists() {
        let mut out = io::BufWriter::new(std::fs::File::create("/dev/full").unwrap());
        let info = stream(MediaKind::Y4m, PixelFormat::I420, 640, 480);
        let mut encoder = encoder(MediaKind::Y4m, &info, &SinkOptions::default(), &mut out).unwrap();
        assert!(matches!(encoder.write(&frame(&info, 0, Duration::ZERO), &mut out), Err(Fail::Io(_))));
    }
}

#[cfg(unix)]
#[test]
fn names_need_not_be_utf8_and_files_get_usual_permissions() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"-caf\xe9:1.png"));
    write(&path, &stream(MediaKind::Png, PixelFormat::Rgb8, 8, 8), 1);
    assert_eq!(read(&path).1.len(), 1);
    let usual = dir.path().join("usual");
    std::fs::write(&usual, b"").unwrap();
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&usual));
}
