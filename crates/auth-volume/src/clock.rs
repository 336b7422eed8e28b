//! The clock of this machine. What judges is given the time, and never reads it.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};
use records::Timestamp;

/// The time now.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

/// How long this machine has run, with the time that it slept. Nobody sets this clock.
#[must_use]
pub fn since_boot() -> Duration {
    // It fails for a clock that the kernel does not have, and Linux has had this one since 2.6.39.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}
