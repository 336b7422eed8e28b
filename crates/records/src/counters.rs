//! How often something happened since the state was begun, for those who draw curves of it. Never decided by.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts by result and reason. Both are words of this program, so that the file stays small.
pub type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Requests for new tokens.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refreshes: Counts,
    /// Passes that gave LiteLLM another account, or found none to give.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rotations: Counts,
}

/// What came of a request for new tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshResult {
    /// New tokens.
    Refreshed,
    /// The grant is dead.
    Ended,
    /// A no that says nothing of the grant, or nobody was reached.
    Failed,
    /// It may have arrived, and no answer came.
    Unanswered,
}

/// Why new tokens were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// The old ones end soon.
    Expiring,
    /// The provider refused the access token.
    Refused,
    /// A person asked for it.
    Operator,
}

/// Why another account serves, or why none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationReason {
    /// None served before.
    First,
    /// It was its turn.
    Tick,
    /// Somebody called for another one.
    Signal,
    /// The operator named it.
    Operator,
    /// The operator prefers it.
    Pinned,
    /// The one before is capped.
    Capped,
    /// The one before was refused for what passes.
    Transient,
    /// The operator put the one before aside.
    Parked,
    /// The one before cannot be used any more.
    Unusable,
}

impl Counters {
    /// Counts a request for new tokens.
    pub fn refreshed(&mut self, result: RefreshResult, reason: RefreshReason) {
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

    /// Counts a change of the account in use, or a pass that found nobody.
    pub fn rotated(&mut self, is_served: bool, cause: RotationReason) {
        let reason = match cause {
            RotationReason::First => "first",
            RotationReason::Tick => "tick",
            RotationReason::Signal => "signal",
            RotationReason::Operator => "operator",
            RotationReason::Pinned => "pinned",
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
        counters.refreshed(RefreshResult::Refreshed, RefreshReason::Expiring);
        counters.refreshed(RefreshResult::Refreshed, RefreshReason::Expiring);
        counters.rotated(false, RotationReason::Tick);
        assert_eq!(
            serde_json::to_string(&counters).unwrap(),
            r#"{"refreshes":{"refreshed":{"expiring":2}},"rotations":{"no_account":{"tick":1}}}"#
        );
    }
}
