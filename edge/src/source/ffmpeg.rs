//! stub
use std::{path::Path};
use crate::source::{Fault, Source};
pub(super) fn open(_: &Path, why: &str) -> Result<Box<dyn Source>, Fault> { Err(Fault::Unsupported(why.into())) }
