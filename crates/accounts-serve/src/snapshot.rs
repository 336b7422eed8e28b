//! Snapshots of the volume: all that answers are made of, read once for all of them.

use std::sync::Arc;
use std::time::Duration;

use auth_volume::{Volume, clock};
use cli::VolumeArgs;
use overview::bounds::INTERVAL;
use overview::finding::Finding;
use overview::findings::findings;
use overview::observed::Observed;
use records::counters::Counters;
use records::{Naming, Timestamp};
use rotation::observing::{Observer, unreadable};

use crate::args::Args;

/// What reads snapshots.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotReader {
    pub(crate) volume: VolumeArgs,
    pub(crate) observer: Observer,
}

/// What the volume held at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) observed: Observed,
    pub(crate) findings: Vec<Finding>,
    pub(crate) counters: Counters,
}

/// The snapshot that several answers are made of, or the finding that the volume cannot be read.
pub(crate) type SharedSnapshot = Result<Arc<Snapshot>, Finding>;

impl SnapshotReader {
    pub(crate) fn new(args: &Args) -> Self {
        let observer = Observer {
            naming: if args.show_identity { Naming::InFull } else { Naming::Masked },
            refresh_before: args.policy.refresh_before(),
            interval: args.interval.or(INTERVAL),
            quota: args.policy.quota(),
        };
        Self { volume: args.volume.clone(), observer }
    }

    /// Opens the volume anew each time, because it may have been mounted meanwhile. Otherwise gives the finding that it
    /// cannot be read.
    pub(crate) fn read(&self) -> Result<Snapshot, Finding> {
        let observed = Volume::at(self.volume.directories())
            .and_then(|volume| self.observer.observe(&volume, clock::now()))
            .map_err(|e| unreadable(&e));
        let (observed, counters) = observed?;
        Ok(Snapshot { findings: findings(&observed), observed, counters })
    }
}

impl Snapshot {
    pub(crate) fn now(&self) -> Timestamp {
        self.observed.overview.at
    }

    pub(crate) fn last_pass_age(&self) -> Option<Duration> {
        self.observed.last_pass_age()
    }
}
