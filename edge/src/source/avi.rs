//! stub
use std::{fs::File, path::Path};
use crate::source::{Fault, Source};
pub(super) fn open(_: File, _: &Path) -> Result<Box<dyn Source>, Fault> { Err(Fault::Unsupported("AVI".into())) }
