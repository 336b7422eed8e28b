//! The clock of this machine. What judges is given the time, and never reads it.

use std::time::SystemTime;

use records::Timestamp;

/// The time now.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}
