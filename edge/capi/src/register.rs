//! What was lent to C, by number, so that a number that is wrong or old is found out and not followed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things by number.
pub(crate) struct Register<T>(Mutex<BTreeMap<usize, Arc<T>>>);

impl<T> Register<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Enters a thing under a number that nothing else has.
    pub(crate) fn enter(&self, number: usize, thing: Arc<T>) {
        self.lock().insert(number, thing);
    }

    pub(crate) fn find(&self, number: usize) -> Option<Arc<T>> {
        self.lock().get(&number).cloned()
    }

    /// Strikes a thing out; whoever else has it keeps it.
    pub(crate) fn strike(&self, number: usize) -> Option<Arc<T>> {
        self.lock().remove(&number)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
