//! What one receiver has been notified of, and what is still to be sent to it. Pure.
//!
//! It is a state and not a queue: a condition holds or does not, and the receiver has been notified of it or has not.
//! What could not be sent is sent by the next pass, if it is still true then.

use std::time::Duration;

use records::{Slot, Timestamp};
use serde::{Deserialize, Serialize};

use crate::condition::{About, Condition, Conditions};

/// How long the same condition is not sent again, however often it ends and begins meanwhile.
const REPEAT_AFTER: Duration = Duration::from_mins(30);

/// How long a receiver that failed is left alone: twice as long each time, up to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The ledger of one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    /// The receiver's fingerprint: a new receiver has been notified of nothing yet.
    pub(crate) receiver: String,
    /// How often in a row it could not be notified.
    #[serde(skip_serializing_if = "is_none")]
    failures: u32,
    /// When the next attempt is made at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<Entry>,
}

/// A condition of which the receiver has been notified, or is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) about: About,
    /// The slot and the identity when it began: the login may be gone when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<Slot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    pub(crate) since: Timestamp,
    stage: Stage,
    /// When the receiver was last notified that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notified_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Pending,
    Notified,
    /// Notified that it is grave.
    NotifiedGrave,
    /// Notified that it is over.
    Over,
}

/// What happened to a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Began,
    Ended,
}

impl Ledger {
    /// The empty ledger of a receiver.
    pub(crate) fn of(receiver: String) -> Self {
        Self { receiver, ..Self::default() }
    }

    /// Adds the conditions that hold now, and forgets what is settled.
    pub(crate) fn update(&mut self, conditions: &Conditions, now: Timestamp) {
        self.limit_times(now);
        self.entries.retain(|entry| match entry.stage {
            Stage::Pending => conditions.about(&entry.about).is_some(),
            Stage::Notified | Stage::NotifiedGrave => true,
            Stage::Over => !entry.may_be_sent_again(now),
        });
        for condition in &conditions.all {
            if !self.entries.iter().any(|entry| entry.about == condition.about) {
                self.entries.push(Entry::pending(condition, now));
            }
        }
    }

    /// What is to be sent, after [`Ledger::update`] with the same conditions: the worst first, and last what is over.
    pub(crate) fn due(&self, conditions: &Conditions, now: Timestamp) -> Vec<(Change, Entry)> {
        let change = |entry: &Entry| match (entry.stage, conditions.about(&entry.about)) {
            (Stage::Pending, Some(_)) => Some(Change::Began),
            (Stage::Notified, Some(condition)) if condition.is_grave && entry.may_be_sent_again(now) => {
                Some(Change::Began)
            }
            // A pool without accounts has not recovered.
            (_, None) if conditions.is_empty && entry.about == About::Pool => None,
            // The pool has run out, which has an event of its own.
            (_, None) if entry.about == About::Forecast && conditions.about(&About::Pool).is_some() => None,
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

    /// Counts an attempt as failed before it is made, so that the pause holds even if this process is killed in it.
    pub(crate) fn begin_attempt(&mut self, now: Timestamp) {
        let doubled = 1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX);
        self.not_before = Some(now.plus(LONGEST_PAUSE.min(FIRST_PAUSE * doubled)));
        self.failures = self.failures.saturating_add(1);
    }

    /// Notes that the receiver has been notified.
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

    /// Limits times that a clock which has been set back left in the future, where they would hold for too long.
    fn limit_times(&mut self, now: Timestamp) {
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

    fn may_be_sent_again(&self, now: Timestamp) -> bool {
        self.notified_at.is_none_or(|at| now.since(at) >= REPEAT_AFTER)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;
