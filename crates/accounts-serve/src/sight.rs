//! Looking: everything that the answers are made of, read once for all of them.

use std::time::Duration;

use auth_volume::args::VolumeArgs;
use auth_volume::atomic::Access;
use auth_volume::callback::SignOfLife;
use auth_volume::counters::Counters;
use auth_volume::{Naming, Slot, Timestamp, VolumeError};
use overview::{Overview, overview};
use rotation::world;

use crate::args::Args;

/// How often the rotator runs when nobody says.
const EVERY_HALF_HOUR: Duration = Duration::from_mins(30);

/// What looks, and how.
#[derive(Clone, Debug)]
pub(crate) struct Eye {
    pub(crate) volume: VolumeArgs,
    pub(crate) naming: Naming,
    pub(crate) renew_before: Duration,
    pub(crate) interval: Duration,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) overview: Overview,
    pub(crate) counters: Counters,
    /// What the rotator would say of the files.
    pub(crate) notes: Vec<String>,
    /// When the rotator last ended a pass.
    pub(crate) last_pass: Option<Timestamp>,
    /// How often it does.
    pub(crate) interval: Duration,
    pub(crate) callback: Option<SignOfLife>,
}

impl Eye {
    pub(crate) fn of(args: &Args) -> Self {
        Self {
            volume: args.volume.clone(),
            naming: if args.show_identity { Naming::InFull } else { Naming::Masked },
            renew_before: args.policy.wish(None, Access::PRIVATE).renew_before,
            interval: args.interval.unwrap_or(EVERY_HALF_HOUR),
        }
    }

    /// Opened anew each time: a volume that was not there may be now.
    pub(crate) fn look(&self) -> Result<Sight, VolumeError> {
        let now = Timestamp::now();
        let volume = self.volume.open()?;
        let reading = world::read(&volume, now)?;
        Ok(Sight {
            overview: overview(&reading.world, self.renew_before, self.naming, now),
            counters: reading.world.state.counters,
            notes: reading.notes,
            last_pass: volume.last_pass(),
            interval: self.interval,
            callback: volume.callback(),
        })
    }
}

impl Sight {
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
