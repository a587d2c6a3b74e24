//! stub
use crate::source::{Fault, Source};
use std::path::Path;
pub(super) fn open(_: &Path, why: &str) -> Result<Box<dyn Source>, Fault> {
    Err(Fault::Unsupported(why.into()))
}
