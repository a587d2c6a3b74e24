//! stub
use crate::source::{Fault, Source};
use std::{fs::File, path::Path};
pub(super) fn open(_: File, _: &Path) -> Result<Box<dyn Source>, Fault> {
    Err(Fault::Unsupported("AVI".into()))
}
