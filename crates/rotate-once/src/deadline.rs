//! How long a receiver is waited for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// From when on a signal ends it: LiteLLM's callback delays a retry for two seconds at most.
const SIGNAL_WAIT: Duration = Duration::from_secs(1);

/// Until when one receiver is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    /// When the first receiver began to be notified.
    pub(crate) begun: Instant,
    pub(crate) until: Instant,
    /// The signal's file.
    pub(crate) signal: PathBuf,
}

impl Deadline {
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Why it has passed, if it has. A signal counts because `idle` starts no second pass beside this one.
    pub(crate) fn has_passed(&self) -> Option<&'static str> {
        if self.left().is_zero() {
            Some("it took too long")
        } else if self.begun.elapsed() >= SIGNAL_WAIT && self.signal.symlink_metadata().is_ok() {
            Some("a signal waits for the rotator")
        } else {
            None
        }
    }
}
