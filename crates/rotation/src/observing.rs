//! Observing a volume, without the lock and without changing anything.

use std::time::Duration;

use auth_volume::{Volume, VolumeError, misnamed};
use judgement::candidate::Candidate;
use judgement::pool::Pool;
use judgement::quota::Quota;
use overview::agents;
use overview::finding::Finding;
use overview::findings;
use overview::observed::{Observed, SlotFile};
use overview::overview;
use records::{Classified as _, Naming, Slot, Timestamp};

use crate::reading::{self, Reading};

/// How a volume is observed.
#[derive(Clone, Debug)]
pub struct Observer {
    pub naming: Naming,
    /// How long before its end the rotator refreshes a login.
    pub refresh_before: Duration,
    /// How often the rotator runs.
    pub interval: Duration,
    pub quota: Quota,
}

impl Observer {
    /// Observes everything that can be read without the lock.
    ///
    /// # Errors
    /// The logins or the state cannot be read; [`unreadable`] makes a finding of that.
    pub fn observe(&self, volume: &Volume, now: Timestamp) -> Result<Observed, VolumeError> {
        let Reading { mut pool, mut notes, mut state_note, is_state_broken, too_open, .. } =
            reading::read(volume, now)?;
        pool.quota = self.quota.clone();
        // The predecessor's state is taken over, and nothing is wrong with it.
        notes.extend(state_note.take_if(|_| !is_state_broken));
        let signals = volume.signals().unwrap_or_default();
        let mut overview = overview(&pool, self.refresh_before, self.naming, now);
        overview.agents = agents::rows(&pool, &volume.agent_totals());
        Ok(Observed {
            overview,
            state_note,
            notes,
            files: files(volume, &pool, &too_open),
            misnamed_logins: misnamed::misnamed_logins(volume.layout().auth()).unwrap_or_default(),
            waiting_since: signals.iter().map(|file| file.left_at).min(),
            last_pass: volume.last_pass(),
            has_passed: volume.has_passed(),
            interval: self.interval,
            writers: volume.writers(),
            heartbeat: findings::worst_alive(volume.heartbeats(), now),
            mirroring: volume.mirroring(),
            counters: pool.state.counters,
            examined: None,
        })
    }
}

/// The finding of a volume that cannot be read.
#[must_use]
pub fn unreadable(error: &VolumeError) -> Finding {
    let is_missing = matches!(error, VolumeError::NotThere(_));
    findings::unreadable(error.class(), &error.to_string(), is_missing)
}

fn files(volume: &Volume, pool: &Pool, too_open: &[Slot]) -> Vec<SlotFile> {
    let stored = pool.slots.iter().filter(|candidate| candidate.is_stored);
    let file = |candidate: &Candidate| {
        let login = candidate.login.as_ref().ok();
        SlotFile {
            slot: candidate.slot,
            path: volume.layout().master(candidate.slot),
            issued: login.and_then(|login| login.issued),
            plan: login.and_then(|login| login.plan.clone()),
            too_open: too_open.contains(&candidate.slot),
        }
    };
    stored.map(file).collect()
}
