//! Which files a list of inputs means: folders are walked, everything else stands for itself.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::source::{SourceError, is_rtsp};

/// Extensions (lower case) of files that are taken from a folder. A file that is named outright is always
/// taken: its content decides.
const MEDIA: &[&str] = &[
    "3gp", "asf", "avi", "bmp", "flv", "gif", "h264", "heic", "jfif", "jpeg", "jpg", "m2ts", "m4v", "mjpeg", "mjpg",
    "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "png", "tif", "tiff", "ts", "webm", "webp", "wmv", "y4m",
];

/// Expands `inputs` into files, in order; each folder's files are sorted by path. Hidden files are left out,
/// links to folders are not followed (so no loops), `/dev/videoN` and `rtsp://` addresses pass through.
/// What cannot be read is reported beside the rest. A file that is reached twice is listed once.
pub fn discover(inputs: &[PathBuf]) -> (Vec<PathBuf>, Vec<SourceError>) {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    for input in inputs {
        if is_rtsp(input) {
            files.push(input.clone());
            continue;
        }
        match std::fs::metadata(input) {
            Ok(meta) if meta.is_dir() => walk(input, &mut files, &mut errors),
            Ok(_) => files.push(input.clone()),
            Err(source) => errors.push(SourceError::Io { path: input.clone(), source }),
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|f| seen.insert(f.clone()));
    (files, errors)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>, errors: &mut Vec<SourceError>) {
    let before = (files.len(), errors.len());
    let hidden = |e: &walkdir::DirEntry| e.depth() > 0 && e.file_name().as_encoded_bytes().starts_with(b".");
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|e| !hidden(e)) {
        match entry {
            // A link to a file counts as the file.
            Ok(entry) if is_media(entry.path()) && entry.path().is_file() => files.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_path_buf();
                errors.push(SourceError::Io { path, source: error.into() });
            }
        }
    }
    if before == (files.len(), errors.len()) {
        errors.push(SourceError::Unsupported {
            path: folder.to_path_buf(),
            hint: "the folder holds no pictures or videos".into(),
        });
    }
}

fn is_media(path: &Path) -> bool {
    path.extension().is_some_and(|e| MEDIA.iter().any(|m| e.eq_ignore_ascii_case(m)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_in_order_and_strangers_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("b/c")).unwrap();
        for name in ["b/c/2.JPG", "b/1.png", "a.mp4", "notes.txt", ".hidden.jpg"] {
            std::fs::write(dir.path().join(name), b"x").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("b/loop")).unwrap();
        let txt = dir.path().join("notes.txt");
        let (files, errors) = discover(&[dir.path().to_path_buf(), txt.clone(), txt.clone(), "rtsp://u:p@h/x".into()]);
        assert!(errors.is_empty(), "{errors:?}");
        let want = ["a.mp4", "b/1.png", "b/c/2.JPG", "notes.txt"].map(|n| dir.path().join(n));
        assert_eq!(files[..4], want);
        assert_eq!(files[4], PathBuf::from("rtsp://u:p@h/x"));
    }

    #[test]
    fn what_is_missing_or_empty_is_reported_and_the_rest_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("x.bin");
        std::fs::write(&good, b"x").unwrap();
        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        let (files, errors) = discover(&[dir.path().join("none"), empty, good.clone()]);
        assert_eq!(files, vec![good]);
        assert_eq!(errors.len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn names_need_not_be_utf8() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.png"));
        std::fs::write(&name, b"x").unwrap();
        assert_eq!(discover(&[dir.path().to_path_buf()]).0, vec![name]);
    }
}
