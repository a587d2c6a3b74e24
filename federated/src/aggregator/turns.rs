//! Who may have how much at a time: turns, and what has come of messages whose connection broke.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for so many at once, and for each site one.
#[derive(Clone)]
pub(super) struct Turns {
    room: Arc<Semaphore>,
    sites: Arc<Mutex<HashSet<[u8; 32]>>>,
}

/// A site's turn, until it is dropped.
pub(super) struct Turn {
    _place: Place,
    _room: OwnedSemaphorePermit,
}

/// A site that has a turn, or waits for one.
struct Place {
    site: [u8; 32],
    sites: Arc<Mutex<HashSet<[u8; 32]>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.site);
    }
}

impl Turns {
    pub(super) fn new(room: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(room)), sites: Arc::default() }
    }

    /// A turn for this site, when there is room; none where it has one already.
    pub(super) async fn take(&self, site: [u8; 32]) -> Option<Turn> {
        let mut turn = None;
        if self.sites.lock().unwrap_or_else(PoisonError::into_inner).insert(site) {
            // From here on, whoever gives up waiting gives the site free again.
            let place = Place { site, sites: self.sites.clone() };
            let room = self.room.clone().acquire_owned().await.ok();
            turn = room.map(|room| Turn { _place: place, _room: room });
        }
        turn
    }
}

/// Beginnings of messages, for their senders to go on from: one of each site, and of so many sites.
#[derive(Clone)]
pub(super) struct Beginnings {
    most: usize,
    patience: Duration,
    held: Arc<Mutex<HashMap<[u8; 32], Beginning>>>,
}

struct Beginning {
    digest: [u8; 32],
    bytes: Vec<u8>,
    since: Instant,
}

impl Beginnings {
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        Self { most, patience, held: Arc::default() }
    }

    /// How many bytes of the message with this digest are held for a site.
    pub(super) fn length(&self, site: &[u8; 32], digest: &[u8; 32]) -> usize {
        self.held().get(site).filter(|held| held.digest == *digest).map_or(0, |held| held.bytes.len())
    }

    /// Takes what is held of this message, as far as `offset`; `None` where less is held.
    pub(super) fn take(&self, site: &[u8; 32], digest: &[u8; 32], offset: usize) -> Option<Vec<u8>> {
        let held = self.held().remove(site).filter(|held| held.digest == *digest);
        let mut bytes = held.map_or_else(Vec::new, |held| held.bytes);
        if bytes.len() < offset {
            return None;
        }
        bytes.truncate(offset);
        Some(bytes)
    }

    /// Keeps what has come of a message; the oldest others make room.
    pub(super) fn keep(&self, site: [u8; 32], digest: [u8; 32], bytes: Vec<u8>) {
        let (mut held, patience) = (self.held(), self.patience);
        held.retain(|_, beginning| beginning.since.elapsed() < patience);
        if held.len() >= self.most
            && let Some(oldest) = held.iter().min_by_key(|(_, held)| held.since).map(|(site, _)| *site)
        {
            held.remove(&oldest);
        }
        held.insert(site, Beginning { digest, bytes, since: Instant::now() });
    }

    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], Beginning>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_bounded_and_their_senders_own() {
        let held = Beginnings::new(2, Duration::from_secs(3600));
        for site in 0..3_u8 {
            held.keep([site; 32], [9; 32], vec![site; 10]);
        }
        assert_eq!([0, 1, 2].map(|site| held.length(&[site; 32], &[9; 32])), [0, 10, 10]);
        assert_eq!(held.length(&[1; 32], &[8; 32]), 0);
        assert_eq!(held.take(&[1; 32], &[9; 32], 4), Some(vec![1; 4]));
        assert_eq!(held.take(&[1; 32], &[9; 32], 4), None);
        assert_eq!(held.take(&[2; 32], &[8; 32], 4), None);
        assert_eq!(held.take(&[2; 32], &[9; 32], 0), Some(Vec::new()));
        let brief = Beginnings::new(2, Duration::ZERO);
        brief.keep([1; 32], [9; 32], vec![1]);
        brief.keep([2; 32], [9; 32], vec![1]);
        assert_eq!(brief.length(&[1; 32], &[9; 32]), 0);
    }
}
