//! The bounds beyond which something that was observed is a finding. Each is written here only.

use std::time::Duration;

/// How often the rotator runs unless another interval is configured.
pub const INTERVAL: Duration = Duration::from_mins(30);

/// How long the issuer may refuse to refresh a login by the same unknown code.
pub const REFUSED_FOR: Duration = Duration::from_hours(24);

/// How soon a pool must run out at the rate of the last hours: enough time to sign in one more account.
pub const RUNS_OUT_WITHIN: Duration = Duration::from_hours(6);

/// How long a signal may wait. The sidecar takes it within milliseconds, and a pass lasts less than a minute.
pub const SIGNAL_WAITS: Duration = Duration::from_mins(2);

/// How old the callback's heartbeat may be, which it writes each minute.
pub const HEARTBEAT: Duration = Duration::from_mins(3);

/// How long ago the records of the lanes may have been mirrored, which is tried each minute.
pub const MIRROR: Duration = Duration::from_mins(3);

/// How old what the page shows may be, which is written each minute.
pub const DIGEST: Duration = Duration::from_mins(3);

/// How far clocks may differ.
pub const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// How much room a directory must have, in bytes, so that a login can be refreshed.
pub const ROOM: u64 = 1 << 20;

/// How long ago the last pass may be for a rotator that runs at this interval.
#[must_use]
pub fn pass_age(interval: Duration) -> Duration {
    interval * 2 + SIGNAL_WAITS
}
