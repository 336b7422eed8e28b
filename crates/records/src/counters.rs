//! How often something has happened since the state was begun, for metrics. No decision depends on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts by result and reason. Both are words of this program, so there are only a few.
pub type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// Everything that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refreshes: Counts,
    /// Passes that published another account, or found none that can serve.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rotations: Counts,
}

/// What came of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshResult {
    /// There are new tokens.
    Refreshed,
    /// The grant has ended.
    Ended,
    /// The issuer refused without ending the grant, or was not reached.
    Failed,
    /// The request may have arrived, and no answer came.
    Unanswered,
}

/// Why a login was refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// Its access token ends soon.
    Expiring,
    /// The provider refused the access token.
    Refused,
    /// An operator asked for it.
    Operator,
}

/// Why another account serves, or why none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationReason {
    /// None served before.
    First,
    /// It was its turn.
    Tick,
    /// A signal asked for another one.
    Signal,
    /// An operator named it.
    Operator,
    /// An operator has pinned it.
    Pinned,
    /// The previous one is near its cap.
    Threshold,
    /// The previous one is capped.
    Capped,
    /// The previous one was refused for a reason that passes.
    Transient,
    /// An operator has parked the previous one.
    Parked,
    /// The previous one can no longer be used.
    Unusable,
}

impl Counters {
    /// Counts a refresh.
    pub fn count_refresh(&mut self, result: RefreshResult, reason: RefreshReason) {
        let result = match result {
            RefreshResult::Refreshed => "refreshed",
            RefreshResult::Ended => "ended",
            RefreshResult::Failed => "failed",
            RefreshResult::Unanswered => "unanswered",
        };
        let reason = match reason {
            RefreshReason::Expiring => "expiring",
            RefreshReason::Refused => "refused",
            RefreshReason::Operator => "operator",
        };
        count(&mut self.refreshes, result, reason);
    }

    /// Counts a change of the account in use, or a pass that found no account.
    pub fn count_rotation(&mut self, is_served: bool, reason: RotationReason) {
        let reason = match reason {
            RotationReason::First => "first",
            RotationReason::Tick => "tick",
            RotationReason::Signal => "signal",
            RotationReason::Operator => "operator",
            RotationReason::Pinned => "pinned",
            RotationReason::Threshold => "threshold",
            RotationReason::Capped => "capped",
            RotationReason::Transient => "transient",
            RotationReason::Parked => "parked",
            RotationReason::Unusable => "unusable",
        };
        count(&mut self.rotations, if is_served { "switched" } else { "no_account" }, reason);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.refreshes.is_empty() && self.rotations.is_empty()
    }
}

fn count(counts: &mut Counts, result: &str, reason: &str) {
    let count = counts.entry(result.to_owned()).or_default().entry(reason.to_owned()).or_default();
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_result_and_reason() {
        let mut counters = Counters::default();
        counters.count_refresh(RefreshResult::Refreshed, RefreshReason::Expiring);
        counters.count_refresh(RefreshResult::Refreshed, RefreshReason::Expiring);
        counters.count_rotation(false, RotationReason::Tick);
        assert_eq!(
            serde_json::to_string(&counters).unwrap(),
            r#"{"refreshes":{"refreshed":{"expiring":2}},"rotations":{"no_account":{"tick":1}}}"#
        );
    }
}
