//! Readings of usage that LiteLLM's callback leaves beside the published record: how much each account had used when it
//! last answered. Nothing in them is trusted beyond what it is about.

use serde_json::Value;

use crate::limits::Limits;
use crate::state::ReportedPlan;
use crate::{AccountId, Timestamp};

/// How many readings of a file are read; no pool that one LiteLLM serves has more accounts.
const MOST: usize = 64;

/// How much one account had used when it last answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The account as the callback names it; the user is missing when its token did not say.
    pub account: AccountId,
    /// When it answered.
    pub at: Timestamp,
    /// How much of its limits it had used.
    pub limits: Limits,
    /// Its subscription.
    pub plan: Option<ReportedPlan>,
}

/// The readings in a file's bytes. A clock that runs ahead makes a reading no younger than now.
#[must_use]
pub fn parse(bytes: &[u8], now: Timestamp) -> Vec<Reading> {
    let document: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let readings = document["readings"].as_array().into_iter().flatten().take(MOST);
    readings.filter_map(|reading| Reading::of(reading, now)).collect()
}

impl Reading {
    /// Reads one; none, if it names no account or no time.
    pub(crate) fn of(document: &Value, now: Timestamp) -> Option<Self> {
        let text = |key: &str| document[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let at = Timestamp::from_json(&document["at"])?.min(now);
        let limits = Limits::of_headers(&document["headers"], at);
        Some(Self {
            account: AccountId { account_id: text("account_id")?, user_id: text("user_id") },
            at,
            plan: [&document["plan_type"], &document["headers"]["x-codex-plan-type"]]
                .into_iter()
                .find_map(|plan| ReportedPlan::new(plan.as_str()?, at)),
            limits,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_795_439_575)
    }

    #[test]
    fn a_file_holds_a_reading_of_each_account() {
        let file = json!({"version": 1, "readings": [
            {"at": 1_795_439_506.2, "account_id": "acct-ann", "user_id": "user-ann", "headers": {
                "x-codex-primary-used-percent": "42.0", "x-codex-primary-window-minutes": "300",
                "x-codex-plan-type": "plus",
            }},
            {"at": 1_895_439_506, "account_id": "acct-ben", "headers": {}},
            {"at": "never", "account_id": "acct-cat"},
            7,
        ]});
        let readings = parse(file.to_string().as_bytes(), now());
        assert_eq!(readings.len(), 2);
        let own = readings[0].limits.own.as_ref().unwrap();
        assert_eq!((own.windows.len(), own.at), (1, readings[0].at));
        assert_eq!(readings[0].plan.as_ref().unwrap().name(), "plus");
        assert_eq!(
            (readings[1].at, readings[1].limits.own.as_ref()),
            (now(), None),
            "a clock that runs ahead"
        );
    }

    #[test]
    fn what_is_no_such_file_holds_none() {
        for bytes in ["", "{half", "[]", "null", r#"{"readings": {"a": 1}}"#] {
            assert_eq!(parse(bytes.as_bytes(), now()), [], "{bytes}");
        }
    }
}
