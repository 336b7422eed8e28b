//! How long a connection lasts, and how long it takes until the next one.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// How long the Secret is watched at most. A connection that died unnoticed delays a record by no more than a mounted Secret
/// would, and the list that follows is of one small object.
pub(crate) const WATCH: Duration = Duration::from_secs(75);

/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(30);

/// The first pause and the longest: with many replicas an API server that comes back is asked a few times a second.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// The pause between two connections, which grows as long as they fail.
#[derive(Debug)]
pub(crate) struct Pause(Duration);

impl Pause {
    /// The pause after a connection that lasted so long.
    pub(crate) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= GOOD {
            *self = Self::default();
        }
        let pause = self.0;
        self.0 = LONGEST.min(pause * 2);
        about(pause)
    }
}

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST)
    }
}

/// This long or down to half of it, so that replicas that started together do not ask together for ever.
pub(crate) fn about(duration: Duration) -> Duration {
    let random = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
    duration / 2 + (duration / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_begin_anew_after_a_good_connection() {
        let mut pause = Pause::default();
        let mut most = FIRST;
        for _ in 0..20 {
            let next = pause.after(Duration::from_secs(1));
            assert!((most / 2..=most).contains(&next), "{next:?} of {most:?}");
            most = LONGEST.min(most * 2);
        }
        assert_eq!(most, LONGEST);
        assert!(pause.after(GOOD) <= FIRST);
    }

    #[test]
    fn no_two_replicas_keep_step_and_a_whole_watch_is_a_good_connection() {
        let some: Vec<_> = (0..9).map(|_| about(WATCH)).collect();
        assert!(some.iter().all(|it| (GOOD..=WATCH).contains(it)), "{some:?}");
        assert!(some.iter().any(|it| *it != some[0]), "{some:?}");
    }
}
