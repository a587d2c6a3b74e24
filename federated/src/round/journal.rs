//! What a round is kept in: records in their order, wherever they lie.

use std::io;

/// A durable sequence of records, of which a power cut leaves the first so many.
pub trait Journal: Sized {
    /// Where one lies.
    type Place;

    /// Opens the journal at a place, and hands its records out in their order; none where there is no journal yet. What was
    /// read is durable.
    ///
    /// # Errors
    /// The storage's, and those of `each`.
    fn open(place: Self::Place, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Self>;

    /// Writes a record. It is there for good after [`sync`](Self::sync).
    ///
    /// # Errors
    /// The storage's. What is there afterwards only opening tells.
    fn append(&mut self, record: &[u8]) -> io::Result<()>;

    /// Makes all that was appended durable.
    ///
    /// # Errors
    /// The storage's.
    fn sync(&mut self) -> io::Result<()>;

    /// Removes the journal, for good.
    ///
    /// # Errors
    /// The storage's.
    fn remove(self) -> io::Result<()>;
}
