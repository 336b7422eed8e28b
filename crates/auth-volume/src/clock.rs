//! The clock of this machine, which nothing that judges may read by itself.

use std::time::SystemTime;

use records::Timestamp;

/// Now.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}
