//! The flag that says how often the rotator runs, for commands that check whether it does.

use std::time::Duration;

use clap::Args;

use crate::duration::{OptionalDuration, duration};

/// How often the rotator runs.
#[derive(Clone, Debug, Args)]
pub struct IntervalArgs {
    /// How often the rotator runs
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_ROTATION_INTERVAL_SEC", default_value = "30m", value_parser = duration)]
    interval: OptionalDuration,
}

impl IntervalArgs {
    /// The interval, or the default if the variable has no value.
    #[must_use]
    pub fn or(&self, default: Duration) -> Duration {
        self.interval.unwrap_or(default)
    }
}
