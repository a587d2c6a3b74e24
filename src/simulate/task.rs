//! What the tasks of all fleets have in common: numbers with bounds, and the error that names one beyond them.

/// A number of a task: its key, what it is, whether that is within its bounds, and the bounds in words.
pub(super) type Bounded = (&'static str, f64, bool, &'static str);

/// Why a task cannot be.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("[{table}] {key} is {given}; it must be {must}")]
pub(super) struct TaskError {
    table: &'static str,
    key: &'static str,
    given: f64,
    must: &'static str,
}

/// Checks the numbers of a task, whose settings are in this table.
///
/// # Errors
/// The first number that is out of bounds.
pub(super) fn check<const N: usize>(table: &'static str, numbers: [Bounded; N]) -> Result<(), TaskError> {
    let bad = numbers.into_iter().find(|(_, _, good, _)| !good);
    bad.map_or(Ok(()), |(key, given, _, must)| Err(TaskError { table, key, given, must }))
}
