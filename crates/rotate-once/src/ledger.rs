//! What one receiver was notified of, and what it is yet to be notified of. Pure.
//!
//! By state and not by queue: a condition holds or does not, and its receiver was notified or was not. What could not be
//! sent is sent by the next pass, if it is still true then.

use std::time::Duration;

use records::{Slot, Timestamp};
use serde::{Deserialize, Serialize};

use crate::condition::{About, Condition, Conditions};

/// How long the same thing is not told again, however often it ends and begins meanwhile.
const QUIET: Duration = Duration::from_mins(30);

/// How long a receiver that failed is left alone: twice as long each time, and no longer than this.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// One receiver's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    /// The receiver, known by a fingerprint: another one was told nothing yet.
    pub(crate) receiver: String,
    /// How often in a row it could not be told.
    #[serde(skip_serializing_if = "is_none")]
    failures: u32,
    /// When it is tried again at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<Entry>,
}

/// One thing that was, or is to be, told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) about: About,
    /// Where it was when it began, and whose: it may be gone when it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<Slot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    /// Since when.
    pub(crate) since: Timestamp,
    stage: Stage,
    /// When it was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notified_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Not told yet.
    Pending,
    Notified,
    /// And as grave.
    NotifiedGrave,
    /// And its end was told, too.
    Over,
}

/// What happened to a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It began, and holds.
    Began,
    /// It ended.
    Ended,
}

impl Ledger {
    /// An empty one of this receiver.
    pub(crate) fn of(receiver: String) -> Self {
        Self { receiver, ..Self::default() }
    }

    /// Takes in what is the condition now, and forgets what is settled.
    pub(crate) fn notice(&mut self, conditions: &Conditions, now: Timestamp) {
        self.believe(now);
        self.entries.retain(|entry| match entry.stage {
            Stage::Pending => conditions.about(&entry.about).is_some(),
            Stage::Notified | Stage::NotifiedGrave => true,
            Stage::Over => !entry.is_quiet(now),
        });
        for condition in &conditions.all {
            if !self.entries.iter().any(|entry| entry.about == condition.about) {
                self.entries.push(Entry::pending(condition, now));
            }
        }
    }

    /// What is to be told, once [`Ledger::notice`] has taken in the same: the worst first, and last what is over.
    pub(crate) fn due(&self, conditions: &Conditions, now: Timestamp) -> Vec<(Change, Entry)> {
        let change = |entry: &Entry| match (entry.stage, conditions.about(&entry.about)) {
            (Stage::Pending, Some(_)) => Some(Change::Began),
            (Stage::Notified, Some(condition)) if condition.is_grave && entry.is_quiet(now) => {
                Some(Change::Began)
            }
            // Nobody can serve where nobody is.
            (_, None) if conditions.is_empty && entry.about == About::Pool => None,
            (Stage::Notified | Stage::NotifiedGrave, None) => Some(Change::Ended),
            _ => None,
        };
        let of = |about: &About| self.entries.iter().find(|entry| entry.about == *about);
        let holds = conditions.all.iter().filter_map(|condition| of(&condition.about));
        let is_over = |entry: &&Entry| conditions.about(&entry.about).is_none();
        let in_order = holds.chain(self.entries.iter().filter(is_over));
        in_order.filter_map(|entry| Some((change(entry)?, entry.clone()))).collect()
    }

    /// Whether the receiver may be tried.
    pub(crate) fn may_try(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// Counts a try as failed before it is made: whoever dies in it has the next one wait all the same.
    pub(crate) fn trying(&mut self, now: Timestamp) {
        let doubled = 1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX);
        self.not_before = Some(now.plus(LONGEST_PAUSE.min(FIRST_PAUSE * doubled)));
        self.failures = self.failures.saturating_add(1);
    }

    /// The receiver has it.
    pub(crate) fn notified(
        &mut self,
        change: Change,
        about: &About,
        conditions: &Conditions,
        now: Timestamp,
    ) {
        (self.failures, self.not_before) = (0, None);
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.about == *about) else { return };
        match change {
            Change::Began => {
                let is_grave = conditions.about(about).is_some_and(|condition| condition.is_grave);
                entry.stage = if is_grave { Stage::NotifiedGrave } else { Stage::Notified };
                entry.notified_at = Some(now);
            }
            Change::Ended => entry.stage = Stage::Over,
        }
    }

    /// A clock that jumped may have left times of the future behind, which would hold for ever.
    fn believe(&mut self, now: Timestamp) {
        if let Some(at) = &mut self.not_before {
            *at = (*at).min(now.plus(LONGEST_PAUSE));
        }
        for entry in &mut self.entries {
            entry.notified_at = entry.notified_at.map(|at| at.min(now));
        }
    }
}

impl Entry {
    fn pending(condition: &Condition, now: Timestamp) -> Self {
        let Condition { about, slot, identity, since, .. } = condition.clone();
        let since = since.map_or(now, |since| since.min(now));
        Self { about, slot, identity, since, stage: Stage::Pending, notified_at: None }
    }

    /// Whether it may be told once more.
    fn is_quiet(&self, now: Timestamp) -> bool {
        self.notified_at.is_none_or(|at| now.since(at) >= QUIET)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;
