//! Raw film on its way to whoever seals it: a bounded queue beside the pipeline.
//!
//! The pipeline's reader offers each frame, and a copy of it waits for a thread of its own. Where that thread falls behind,
//! frames are left out of what is kept, and counted: offering waits for nothing, and nothing here can make a stream fail.
//!
//! Knows frames and counts; not keys, files or how pictures are written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::frame::{FramePool, RawFrame};
use crate::source::{Rate, StreamInfo};
use crate::summary::KeptFilm;

/// Frames that may wait, and bytes of them.
const FRAMES: usize = 256;
const BYTES: usize = 32 << 20;
/// After so long without a frame, what was gathered is written.
const IDLE: Duration = Duration::from_secs(2);
/// How long the end of a run waits for what is still in the queue.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frame that is to be kept.
#[cfg_attr(not(feature = "vault"), allow(dead_code))] // nobody takes it
pub(crate) struct Kept {
    /// The stream that it is from: another number, another film.
    pub(crate) stream: u64,
    /// What that stream says its rate is.
    pub(crate) rate: Rate,
    pub(crate) frame: RawFrame,
}

/// Whoever keeps frames, on a thread of its own. Failing is its own affair.
pub(crate) trait Keep {
    fn frame(&mut self, kept: Kept);
    /// Nothing has come for a while, and nothing may come: what was gathered is to be written.
    fn idle(&mut self);
    fn finish(&mut self);
}

/// What became of the frames that were offered.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) clips: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) left_out: AtomicU64,
}

/// Keeps raw film while a batch runs. `volet_edge::vault::keep` makes one; clones are the same one.
#[derive(Clone, Debug)]
pub struct Keeper(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Mutex<Option<Queue>>,
    streams: AtomicU64,
    ended: Mutex<Receiver<()>>,
    counts: Arc<Counts>,
}

#[derive(Clone, Debug)]
struct Queue {
    frames: SyncSender<Kept>,
    /// Bytes of frames that wait.
    waiting: Arc<AtomicUsize>,
}

impl Keeper {
    /// Starts a thread for whoever `make` makes.
    #[cfg_attr(not(feature = "vault"), allow(dead_code))] // there is nobody else
    pub(crate) fn start<K: Keep>(make: impl FnOnce(Arc<Counts>) -> K + Send + 'static) -> std::io::Result<Self> {
        let (frames, queue) = sync_channel(FRAMES);
        let (end, ended) = sync_channel(0);
        let (waiting, counts) = (Arc::new(AtomicUsize::new(0)), Arc::new(Counts::default()));
        let (taken, told) = (waiting.clone(), counts.clone());
        std::thread::Builder::new().name("keep".to_owned()).spawn(move || {
            // Whoever waits for the end is told by this being dropped, however the thread ends.
            let _end: SyncSender<()> = end;
            let done = catch_unwind(AssertUnwindSafe(|| work(&mut make(told), &queue, &taken)));
            if done.is_err() {
                tracing::error!("keeping raw film panicked; no more is kept in this run. Please report this");
            }
        })?;
        let queue = Mutex::new(Some(Queue { frames, waiting }));
        Ok(Self(Arc::new(Inner { queue, streams: AtomicU64::new(0), ended: Mutex::new(ended), counts })))
    }

    /// For one stream; none after the end.
    pub(crate) fn tap(&self, info: &StreamInfo) -> Option<Tap> {
        let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let stream = self.0.streams.fetch_add(1, Ordering::Relaxed);
        Some(Tap { queue, stream, rate: info.rate, pool: FramePool::new(), counts: self.0.counts.clone() })
    }

    /// Ends the keeping, once what still waits was written or half a minute has passed, and says what was kept.
    pub fn finish(&self) -> KeptFilm {
        drop(self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the vault's disk does not answer; what still waits for it is not kept");
        }
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { clips, frames, left_out } = &*self.0.counts;
        KeptFilm { clips: count(clips), frames: count(frames), left_out: count(left_out) }
    }
}

fn work(keep: &mut impl Keep, queue: &Receiver<Kept>, waiting: &AtomicUsize) {
    loop {
        match queue.recv_timeout(IDLE) {
            Ok(kept) => {
                let bytes = kept.frame.geometry().bytes();
                keep.frame(kept);
                waiting.fetch_sub(bytes, Ordering::Relaxed);
            }
            Err(RecvTimeoutError::Timeout) => keep.idle(),
            Err(RecvTimeoutError::Disconnected) => return keep.finish(),
        }
    }
}

/// Where one stream's reader offers its frames.
pub(crate) struct Tap {
    queue: Queue,
    stream: u64,
    rate: Rate,
    pool: FramePool,
    counts: Arc<Counts>,
}

impl Tap {
    /// Copies a frame into the queue, or leaves it out where there is no room. Waits for nobody.
    pub(crate) fn offer(&mut self, frame: &RawFrame) {
        if !self.has_taken(frame) {
            self.counts.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn has_taken(&self, frame: &RawFrame) -> bool {
        let bytes = frame.geometry().bytes();
        let waiting = &self.queue.waiting;
        // One is always let in, however large; nobody else adds to this number meanwhile but other streams' readers.
        let before = waiting.fetch_add(bytes, Ordering::Relaxed);
        let room = before == 0 || before + bytes <= BYTES;
        let taken = room && {
            let mut buffer = self.pool.take(bytes);
            buffer.as_mut_slice().copy_from_slice(frame.pixels());
            let copy = RawFrame::new(frame.index(), frame.time(), frame.geometry(), frame.color(), buffer);
            let kept = copy.map(|frame| Kept { stream: self.stream, rate: self.rate, frame });
            kept.is_ok_and(|kept| self.queue.frames.try_send(kept).is_ok())
        };
        if !taken {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Color, Geometry, PixelFormat};
    use crate::source::MediaKind;

    /// Waits for a word before each frame, and panics at one.
    struct Slow(Receiver<()>, Arc<Counts>, u64);

    impl Keep for Slow {
        fn frame(&mut self, kept: Kept) {
            assert!(kept.frame.index() != self.2, "planned");
            let _ = self.0.recv();
            self.1.frames.fetch_add(1, Ordering::Relaxed);
        }

        fn idle(&mut self) {}

        fn finish(&mut self) {
            self.1.clips.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn frame(index: u64, geometry: Geometry) -> RawFrame {
        RawFrame::new(index, Duration::ZERO, geometry, Color::JPEG, vec![1; geometry.bytes()]).unwrap()
    }

    /// Offers frames to somebody who takes none before the last was offered.
    fn offered(count: u64, side: u32, panics_at: u64) -> KeptFilm {
        let geometry = Geometry::new(PixelFormat::Grey8, side, side).unwrap();
        let rate = Rate { num: 25, den: 1 };
        let info = StreamInfo { kind: MediaKind::Live, geometry, color: Color::JPEG, rate, frames: None };
        let (go, wait) = sync_channel(0);
        let keeper = Keeper::start(move |counts| Slow(wait, counts, panics_at)).unwrap();
        let mut tap = keeper.tap(&info).unwrap();
        (0..count).for_each(|index| tap.offer(&frame(index, geometry)));
        drop((tap, go));
        let kept = keeper.finish();
        assert!(keeper.tap(&info).is_none());
        assert_eq!(keeper.finish(), kept, "once ended, it has ended");
        kept
    }

    #[test]
    fn who_falls_behind_loses_frames_and_holds_up_nobody() {
        // One may have been taken out of the queue before it was full.
        let most = |kept: KeptFilm, queue: u64, offered: u64| {
            assert!((queue..=queue + 1).contains(&kept.frames), "{kept:?}");
            assert_eq!((kept.frames + kept.left_out, kept.clips), (offered, 1));
        };
        most(offered(1000, 16, u64::MAX), FRAMES as u64, 1000);
        let bytes = 2048 * 2048;
        // A frame in work counts as waiting.
        assert_eq!(offered(100, 2048, u64::MAX).frames, BYTES as u64 / bytes);
        // Larger than the queue, and kept all the same.
        assert_eq!(offered(3, 6000, u64::MAX), KeptFilm { clips: 1, frames: 1, left_out: 2 });
    }

    #[test]
    fn a_panic_ends_the_keeping_and_nothing_else() {
        let kept = offered(1000, 16, 0);
        assert_eq!((kept.clips, kept.frames), (0, 0));
    }
}
