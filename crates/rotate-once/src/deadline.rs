//! How long lock may take.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the rotator is called in vain while it tells somebody: LiteLLM holds an agent's request for two seconds.
const CALLED_IN_VAIN: Duration = Duration::from_secs(1);

/// Until when one receiver is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    /// When the first of them began to be told.
    pub(crate) begun: Instant,
    pub(crate) until: Instant,
    /// Where the rotator is called by a file.
    pub(crate) signal: PathBuf,
}

impl Deadline {
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Why it has ended, if it has. Whoever runs us starts no pass beside this one.
    pub(crate) fn ended(&self) -> Option<&'static str> {
        if self.left().is_zero() {
            Some("it took too long")
        } else if self.begun.elapsed() >= CALLED_IN_VAIN && self.signal.symlink_metadata().is_ok() {
            Some("a signal waits for the rotator")
        } else {
            None
        }
    }
}
