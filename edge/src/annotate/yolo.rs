//! YOLO (Ultralytics' layout): `data.yaml` and, under `labels/`, one text file per picture with objects:
//! `class x_centre y_centre width height`, all but the class in shares of the picture's sides.
//!
//! A clip has a folder of its own, and a file per frame. The folder `yolo` is built under another name
//! and takes the place of an older one when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use volet_models::ObjectClass;

use super::draft::{io_error, make_dir};
use super::{AnnotateError, FrameRecord, MediaRecord, Writer, writable};

pub(super) struct Yolo {
    target: PathBuf,
    draft: TempDir,
    open: Option<MediaRecord>,
}

impl Yolo {
    pub(super) fn create(folder: &Path) -> Result<Self, AnnotateError> {
        let target = folder.join("yolo");
        let draft = temporary_folder(folder, &target)?;
        make_dir(&draft.path().join("labels"))?;
        let path = draft.path().join("data.yaml");
        let mut yaml = BufWriter::new(File::create_new(&path).map_err(io_error(&path))?);
        describe(&mut yaml).and_then(|()| yaml.flush()).map_err(io_error(&path))?;
        Ok(Self { target, draft, open: None })
    }

    fn labels(&self, stem: &str) -> PathBuf {
        let mut path = self.draft.path().join("labels").join(stem).into_os_string();
        path.push(".txt");
        path.into()
    }
}

fn temporary_folder(parent: &Path, about: &Path) -> Result<TempDir, AnnotateError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".volet-").suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(parent).map_err(io_error(about))
}

fn describe(yaml: &mut impl Write) -> std::io::Result<()> {
    writeln!(yaml, "# Put or link the stills of media/ into images/, and the frames of clips into images/CLIP/:")?;
    writeln!(yaml, "#   ffmpeg -i media/CLIP.mp4 -start_number 0 images/CLIP/CLIP_%06d.jpg")?;
    writeln!(yaml, "path: .\ntrain: images\nval: images\nnc: {}\nnames:", ObjectClass::ALL.len())?;
    for class in ObjectClass::ALL {
        writeln!(yaml, "  {}: {class}", class.category_id() - 1)?;
    }
    Ok(())
}

impl Writer for Yolo {
    fn begin_media(&mut self, media: &MediaRecord) -> Result<(), AnnotateError> {
        if self.open.is_some() {
            return Err(AnnotateError::Order("a medium began within another"));
        }
        if !media.kind.is_still() {
            let folder = self.draft.path().join("labels").join(media.stem());
            fs::create_dir(&folder).map_err(|e| self.refused(&media.output_name, e))?;
        }
        self.open = Some(media.clone());
        Ok(())
    }

    fn frame(&mut self, frame: &FrameRecord) -> Result<(), AnnotateError> {
        let Some(media) = &self.open else { return Err(AnnotateError::Order("a frame without a medium")) };
        let mut objects = writable(frame).peekable();
        if objects.peek().is_none() {
            return Ok(());
        }
        let path = self.labels(&media.frame_stem(frame.index));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = BufWriter::new(file.map_err(|e| self.refused(&media.output_name, e))?);
        let (width, height) = (frame.width as f32, frame.height as f32);
        for object in objects {
            let (x, y) = object.bbox.center();
            writeln!(
                file,
                "{} {:.6} {:.6} {:.6} {:.6}",
                object.class.category_id() - 1,
                x / width,
                y / height,
                object.bbox.w / width,
                object.bbox.h / height
            )
            .map_err(io_error(&path))?;
        }
        file.flush().map_err(io_error(&path))
    }

    fn end_media(&mut self) -> Result<(), AnnotateError> {
        self.open.take().map(|_| ()).ok_or(AnnotateError::Order("no medium to end"))
    }

    fn discard_media(&mut self) -> Result<(), AnnotateError> {
        let Some(media) = self.open.take() else { return Err(AnnotateError::Order("no medium to discard")) };
        let removed = if media.kind.is_still() {
            fs::remove_file(self.labels(media.stem()))
        } else {
            fs::remove_dir_all(self.draft.path().join("labels").join(media.stem()))
        };
        match removed {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(io_error(&self.target)(e)),
            _ => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<PathBuf>, AnnotateError> {
        if self.open.is_some() {
            self.discard_media()?;
        }
        let old = match self.target.parent() {
            Some(parent) if self.target.exists() => Some(temporary_folder(parent, &self.target)?),
            _ => None,
        };
        if let Some(old) = &old {
            fs::rename(&self.target, old.path().join("yolo")).map_err(io_error(&self.target))?;
        }
        fs::rename(self.draft.path(), &self.target).map_err(io_error(&self.target))?;
        // The folder has moved on: nothing is left for the guard to delete.
        let _ = self.draft.keep();
        Ok(vec![self.target])
    }
}

impl Yolo {
    fn refused(&self, name: &str, source: std::io::Error) -> AnnotateError {
        let path = self.target.join("labels").join(name);
        if source.kind() == ErrorKind::AlreadyExists {
            AnnotateError::Twice { path }
        } else {
            AnnotateError::Io { path, source }
        }
    }
}
