//! Files as other programs make them, and files as no program should. What `ffmpeg` makes is skipped where it is not
//! installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

mod damaged;

fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("-version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Runs ffmpeg; `None` where it is not installed or was built without the encoder.
fn ffmpeg(args: &str, out: &Path) -> Option<()> {
    if !installed("ffmpeg") {
        return None;
    }
    let output = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(args.split(' ')).arg(out).output().unwrap();
    if !output.status.success() {
        eprintln!("skipped: ffmpeg {args}: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(())
}

#[derive(Debug, Default)]
struct Outcome {
    frames: Vec<RawFrame>,
    lost: Vec<u64>,
    error: Option<SourceError>,
}

/// Reads to the end, and checks that numbers and times rise.
fn drain(source: &mut dyn Source) -> Outcome {
    let pool = FramePool::new();
    let mut outcome = Outcome::default();
    let (mut next_index, mut last) = (0, Duration::ZERO);
    loop {
        let (index, time) = match source.next(&pool) {
            Ok(Next::Frame(frame)) => {
                let at = (frame.index(), frame.time());
                assert_eq!(frame.geometry(), source.info().geometry);
                outcome.frames.push(frame);
                at
            }
            Ok(Next::Lost { index, time, .. }) => {
                outcome.lost.push(index);
                (index, time)
            }
            Ok(Next::End) => return outcome,
            Err(error) => {
                outcome.error = Some(error);
                return outcome;
            }
        };
        assert_eq!(index, next_index);
        assert!(time >= last);
        (next_index, last) = (index + 1, time);
    }
}

fn native() -> OpenOptions {
    OpenOptions { ffmpeg: false, ..OpenOptions::default() }
}

fn read(path: &Path) -> (StreamInfo, Outcome) {
    let mut source = open(path, &native()).unwrap();
    let outcome = drain(source.as_mut());
    (source.info().clone(), outcome)
}

fn clip() -> String {
    "-f lavfi -i testsrc2=s=320x180:r=30:d=2".to_owned()
}

/// OpenH264 is off by a little in a few samples of B pictures; any other frame of the test clip differs in thousands.
fn nearly_same(a: &RawFrame, b: &RawFrame) -> bool {
    let different = a.pixels().iter().zip(b.pixels()).filter(|(a, b)| a != b).count();
    a.geometry() == b.geometry() && different * 100 < a.pixels().len()
}

#[test]
fn h264_is_decoded_frame_for_frame() {
    let dir = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("no B", "-c:v libx264 -bf 0"),
        ("B", "-c:v libx264 -bf 2"),
        ("pyramid", "-c:v libx264 -bf 8 -b_strategy 2 -refs 6 -g 20 -x264-params b-pyramid=normal"),
        ("16 B", "-c:v libx264 -bf 16 -b_strategy 0 -g 25"),
        ("open GOP", "-c:v libx264 -bf 3 -g 10 -x264-params open-gop=1"),
        ("baseline", "-c:v libx264 -profile:v baseline"),
        ("main", "-c:v libx264 -profile:v main -bf 2"),
        ("slices", "-c:v libx264 -slices 4 -bf 2"),
        ("intra refresh", "-c:v libx264 -x264-params intra-refresh=1"),
        ("lossy", "-c:v libx264 -crf 45 -bf 4"),
        ("one frame", "-c:v libx264 -frames:v 1"),
        ("fragments", "-c:v libx264 -bf 2 -g 15 -movflags frag_keyframe+empty_moov"),
        ("fragments, default base", "-c:v libx264 -bf 2 -g 15 -movflags frag_keyframe+empty_moov+default_base_moof"),
        ("QuickTime", "-c:v libx264 -bf 2 -f mov"),
        ("trimmed", "-ss 0.5 -c:v libx264 -bf 2"),
        ("index first", "-c:v libx264 -bf 2 -movflags faststart"),
        ("cropped", "-vf crop=318:178 -c:v libx264 -bf 2"),
        ("audio", "-f lavfi -i sine=d=2 -c:v libx264 -bf 2 -c:a aac -shortest"),
    ] {
        let path = dir.path().join("x.mp4");
        let Some(()) = ffmpeg(&format!("{} {options} -pix_fmt yuv420p", clip()), &path) else { continue };
        let (info, ours) = read(&path);
        assert_eq!(info.kind, MediaKind::Mp4, "{name}");
        assert!(ours.error.is_none() && ours.lost.is_empty(), "{name}: {:?} {:?}", ours.error, ours.lost);
        let mut reference = ffmpeg::open(&path, "").unwrap();
        let reference = drain(reference.as_mut());
        assert_eq!(ours.frames.len(), reference.frames.len(), "{name}");
        if let Some(count) = info.frames {
            assert_eq!(count, ours.frames.len() as u64, "{name}");
        }
        assert_eq!(info.rate, Rate { num: 30, den: 1 }, "{name}");
        for (a, b) in ours.frames.iter().zip(&reference.frames) {
            assert!(nearly_same(a, b), "{name}: frame {} differs", a.index());
            let off = a.time().abs_diff(info.rate.time_of(a.index()));
            assert!(off < Duration::from_millis(1), "{name}: frame {} is off by {off:?}", a.index());
        }
    }
}

#[test]
fn rotated_phone_videos_come_upright() {
    let dir = tempfile::tempdir().unwrap();
    let (flat, path) = (dir.path().join("flat.mp4"), dir.path().join("x.mp4"));
    let Some(()) = ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p -frames:v 5", clip()), &flat) else { return };
    for degrees in ["90", "180", "270"] {
        let args = format!("-i {} -c copy -metadata:s:v:0 rotate={degrees}", flat.display());
        let Some(()) = ffmpeg(&args, &path) else { continue };
        let (info, ours) = read(&path);
        let mut reference = ffmpeg::open(&path, "").unwrap();
        let reference_info = reference.info().clone();
        let reference = drain(reference.as_mut());
        if reference_info.geometry.width() == 320 && degrees != "180" {
            eprintln!("skipped: this ffmpeg does not write rotations that way");
            continue;
        }
        assert_eq!(info.geometry, reference_info.geometry, "{degrees}");
        for (a, b) in ours.frames.iter().zip(&reference.frames) {
            assert!(nearly_same(a, b), "{degrees}: frame {} differs", a.index());
        }
    }
}

#[test]
fn what_the_built_in_decoder_cannot_do_goes_to_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("10.mp4", "-c:v libx264 -pix_fmt yuv420p10le"),
        ("422.mp4", "-c:v libx264 -pix_fmt yuv422p"),
        ("444.mp4", "-c:v libx264 -pix_fmt yuv444p"),
        ("interlaced.mp4", "-c:v libx264 -pix_fmt yuv420p -flags +ildct+ilme"),
        ("hevc.mp4", "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=none"),
        ("part2.mp4", "-c:v mpeg4"),
        ("x.mkv", "-c:v libx264 -pix_fmt yuv420p"),
        ("-x:1.webm", "-c:v libvpx -b:v 500k"),
        ("x.gif", ""),
        ("x.avi", "-c:v mpeg4"),
    ] {
        let path = dir.path().join(name);
        let args = format!("{} {options}", clip());
        // ffmpeg itself takes such names apart unless they are told to be files.
        let Some(()) = ffmpeg(args.trim(), Path::new(&format!("file:{}", path.display()))) else { continue };
        let Err(error) = open(&path, &native()) else { panic!("{name} opened natively") };
        assert!(matches!(error, SourceError::Unsupported { .. }), "{name} {error}");
        let mut source = open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(source.info().kind, MediaKind::Other);
        let outcome = drain(source.as_mut());
        assert!(outcome.error.is_none(), "{name} {:?}", outcome.error);
        let count = outcome.frames.len();
        assert!(count == 60 || name == "x.gif" && count >= 59, "{name}: {count} frames");
    }
}

#[test]
fn what_nothing_reads_is_told_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("noise.bin");
    std::fs::write(&path, b"this is no picture").unwrap();
    for options in [OpenOptions::default(), native()] {
        let error = open(&path, &options).err().unwrap();
        assert!(error.to_string().contains("noise.bin"), "{error}");
        assert!(matches!(error, SourceError::Unsupported { .. }), "{error:?}");
    }
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(open(&path, &native()).err().unwrap(), SourceError::Corrupt { .. }));
    assert!(matches!(open(dir.path(), &native()).err().unwrap(), SourceError::Unsupported { .. }));
    let missing = open(&dir.path().join("none.mp4"), &native()).err().unwrap();
    assert!(matches!(missing, SourceError::Io { .. }) && missing.to_string().contains("none.mp4"));
}

#[test]
fn the_street_clip_gives_its_600_frames() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/clips/street.mp4");
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return;
    }
    let mut source = open(&path, &native()).unwrap();
    assert_eq!((source.info().frames, source.info().rate), (Some(600), Rate { num: 30, den: 1 }));
    let (pool, mut count) = (FramePool::new(), 0);
    while let Next::Frame(frame) = source.next(&pool).unwrap() {
        assert_eq!(frame.index(), count);
        count += 1;
    }
    assert_eq!(count, 600);
}

#[cfg(all(feature = "v4l2", target_os = "linux"))]
#[test]
fn a_camera_gives_frames() {
    let path = Path::new("/dev/video0");
    if !path.exists() {
        eprintln!("skipped: there is no /dev/video0 (load the kernel's vivid module to have one)");
        return;
    }
    let mut source = open(path, &OpenOptions::default()).unwrap();
    let pool = FramePool::new();
    for n in 0..3 {
        match source.next(&pool).unwrap() {
            Next::Frame(frame) => assert_eq!(frame.index(), n),
            Next::Lost { index, .. } => assert_eq!(index, n),
            Next::End => panic!("a camera does not end"),
        }
    }
}
