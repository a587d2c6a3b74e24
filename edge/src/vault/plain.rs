//! Memory for pictures that are not sealed yet: overwritten with zeros when it grows, is cleared or goes.

use std::io::{self, Write};

use crate::frame::wipe;

/// A buffer that leaves nothing behind. Not `Clone`, prints no contents.
#[derive(Default)]
pub(super) struct Plain(Vec<u8>);

impl Plain {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what comes after `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        if let Some(gone) = self.0.get_mut(length..) {
            wipe(gone);
        }
        self.0.truncate(length);
    }

    /// Puts bytes in place of those at `at`, as far as there are any.
    pub(super) fn patch(&mut self, at: usize, bytes: &[u8]) {
        self.0.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > self.0.capacity() {
            // A vector that grows by itself leaves its old memory as it is.
            let mut larger = Vec::with_capacity((2 * self.0.capacity()).max(self.0.len() + bytes.len()));
            larger.extend_from_slice(&self.0);
            drop(Self(std::mem::replace(&mut self.0, larger)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}
