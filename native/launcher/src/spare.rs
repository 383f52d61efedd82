//! What one sandbox leaves as good as new serves the next.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// There are never more than were in use at once within `PATIENCE`, for one is made only where none is left over: who is busy keeps what he
/// needs. This is for a crowd that comes once.
const MOST: usize = 64;
/// Who is idle keeps none.
const PATIENCE: Duration = Duration::from_secs(3);

pub struct Spare<T>(Mutex<Kept<T>>);

struct Kept<T> {
    /// Longest unused first.
    items: Vec<(Instant, T)>,
    minded: bool,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            items: Vec::new(),
            minded: false,
        }))
    }
}

impl<T: Send + 'static> Spare<T> {
    pub fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut kept = self.kept();
        let index = kept.items.iter().rposition(|(_, item)| fits(item))?;
        Some(kept.items.remove(index).1)
    }

    pub fn keep(self: &Arc<Self>, item: T) {
        let mut kept = self.kept();
        // To take one apart takes its time: that is done outside of the lock.
        let superfluous = (kept.items.len() >= MOST).then(|| kept.items.remove(0));
        kept.items.push((Instant::now(), item));
        if !kept.minded {
            let spare = self.clone();
            kept.minded = thread::Builder::new().spawn(move || spare.mind()).is_ok();
        }
        drop(kept);
        drop(superfluous);
    }

    /// Until none is left.
    fn mind(&self) {
        loop {
            sleep(PATIENCE / 3);
            let mut kept = self.kept();
            let fresh = kept.items.partition_point(|(since, _)| since.elapsed() > PATIENCE);
            let old: Vec<_> = kept.items.drain(..fresh).collect();
            let is_idle = kept.items.is_empty();
            kept.minded = !is_idle;
            drop(kept);
            drop(old);
            if is_idle {
                return;
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    #[test]
    fn the_last_that_fits_is_taken_and_what_was_unused_for_longest_gives_way() {
        let spare = Arc::new(Spare::default());
        (0..=MOST).for_each(|number| spare.keep(number));
        assert_eq!(spare.take(|&number| number < 3), Some(2));
        assert_eq!(spare.take(|&number| number < 3), Some(1));
        assert_eq!(spare.take(|&number| number < 3), None);
        assert_eq!(spare.take(|_| true), Some(MOST));
    }

    /// Told when it is being taken apart, and waits to be let go.
    struct Dear {
        begun: Sender<()>,
        let_go: Receiver<()>,
        ended: Sender<bool>,
    }

    impl Drop for Dear {
        fn drop(&mut self) {
            let _ = self.begun.send(());
            let _ = self.ended.send(self.let_go.recv_timeout(10 * PATIENCE).is_ok());
        }
    }

    #[test]
    fn nobody_waits_while_the_last_is_taken_apart() {
        let ((begun, is_begun), (lets_go, let_go), (ended, is_ended)) = (channel(), channel(), channel());
        let spare = Arc::new(Spare::default());
        spare.keep(Dear { begun, let_go, ended });
        is_begun.recv_timeout(10 * PATIENCE).expect("it is taken apart");
        assert!(spare.take(|_| true).is_none());
        lets_go.send(()).expect("it waits");
        assert!(is_ended.recv().expect("it ends"), "the taker waited for it");
    }

    #[test]
    fn who_is_idle_keeps_none() {
        let (spare, item) = (Arc::new(Spare::default()), Arc::new(()));
        spare.keep(item.clone());
        let deadline = Instant::now() + 3 * PATIENCE;
        while Arc::strong_count(&item) > 1 {
            assert!(Instant::now() < deadline, "it is kept");
            sleep(PATIENCE / 10);
        }
    }
}
