//! Looking: everything that the answers are made of, read once for all of them.

use std::time::Duration;

use auth_volume::{Volume, VolumeError, clock};
use cli::VolumeArgs;
use overview::{Overview, overview};
use records::counters::Counters;
use records::heartbeat::Heartbeat;
use records::{Naming, Slot, Timestamp};
use rotation::reading;

use crate::args::Args;

/// How often the rotator runs when nobody says.
const EVERY_HALF_HOUR: Duration = Duration::from_mins(30);

/// What looks, and how.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    pub(crate) volume: VolumeArgs,
    pub(crate) naming: Naming,
    pub(crate) refresh_before: Duration,
    pub(crate) interval: Duration,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) overview: Overview,
    pub(crate) counters: Counters,
    /// What the rotator would say of the files.
    pub(crate) notes: Vec<String>,
    /// When the rotator last ended a pass.
    pub(crate) last_pass: Option<Timestamp>,
    /// How often it does.
    pub(crate) interval: Duration,
    pub(crate) callback: Option<Heartbeat>,
}

impl Viewer {
    pub(crate) fn of(args: &Args) -> Self {
        Self {
            volume: args.volume.clone(),
            naming: if args.show_identity { Naming::InFull } else { Naming::Masked },
            refresh_before: args.policy.refresh_before(),
            interval: args.interval.unwrap_or(EVERY_HALF_HOUR),
        }
    }

    /// Opened anew each time: a volume that was not there may be now.
    pub(crate) fn look(&self) -> Result<Snapshot, VolumeError> {
        let now = clock::now();
        let volume = Volume::at(self.volume.directories())?;
        let reading = reading::read(&volume, now)?;
        Ok(Snapshot {
            overview: overview(&reading.pool, self.refresh_before, self.naming, now),
            counters: reading.pool.state.counters,
            notes: reading.notes,
            last_pass: volume.last_pass(),
            interval: self.interval,
            callback: volume.callback(),
        })
    }
}

impl Snapshot {
    pub(crate) fn now(&self) -> Timestamp {
        self.overview.at
    }

    pub(crate) fn last_pass_age(&self) -> Option<Duration> {
        self.last_pass.map(|at| self.now().since(at))
    }

    /// A slot for one more account.
    pub(crate) fn first_free(&self) -> Slot {
        Slot::first_free(&self.overview.rows.iter().map(|row| row.slot).collect::<Vec<_>>())
    }
}
