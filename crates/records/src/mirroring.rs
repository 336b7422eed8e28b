//! What came of the last run of `lane-mirror`, which leaves it for those who look at the accounts.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Timestamp;
use crate::text::line;

/// Whether a Secret has the records of the lanes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirroring {
    /// When the last run ended, or the pod started in which it is due.
    pub at: Timestamp,
    /// When the Secret last had what it should have, if it ever had.
    pub succeeded: Option<Timestamp>,
    /// Why the last run failed, if it did; printable.
    pub failed: Option<String>,
}

impl Mirroring {
    /// Reads a file's bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            at: Timestamp::from_json(&document["at"])?,
            succeeded: Timestamp::from_json(&document["succeeded"]),
            failed: document["failed"].as_str().map(line),
        })
    }

    /// What is so after a run that has just ended, and failed for this reason if there is one.
    #[must_use]
    pub fn after(before: Option<Self>, failed: Option<String>, now: Timestamp) -> Self {
        let succeeded = if failed.is_none() { Some(now) } else { before.and_then(|before| before.succeeded) };
        Self { at: now, succeeded, failed }
    }

    /// What is so before the first run in a pod, which is due from now on.
    #[must_use]
    pub fn awaited(before: Option<Self>, now: Timestamp) -> Self {
        let (succeeded, failed) = before.map(|before| (before.succeeded, before.failed)).unwrap_or_default();
        Self { at: now, succeeded, failed }
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let Self { at, succeeded, failed } = self;
        format!("{}\n", json!({"version": 1, "at": at, "succeeded": succeeded, "failed": failed}))
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_000_000 + seconds)
    }

    #[test]
    fn a_run_that_fails_leaves_the_time_of_the_last_one_that_did_not() {
        let first = Mirroring::after(None, Some("no answer".to_owned()), at(0));
        assert_eq!((first.at, first.succeeded), (at(0), None));
        let second = Mirroring::after(Some(first), None, at(60));
        assert_eq!((second.succeeded, second.failed.clone()), (Some(at(60)), None));
        let third = Mirroring::after(Some(second), Some("no answer".to_owned()), at(120));
        assert_eq!((third.at, third.succeeded), (at(120), Some(at(60))));
        assert_eq!(Mirroring::parse(&third.bytes()), Some(third));
    }

    #[test]
    fn a_pod_that_starts_waits_for_a_run_and_forgets_nothing() {
        assert_eq!(Mirroring::awaited(None, at(0)), Mirroring { at: at(0), succeeded: None, failed: None });
        let failed = Mirroring::after(None, Some("no answer".to_owned()), at(0));
        assert_eq!(Mirroring::awaited(Some(failed.clone()), at(60)), Mirroring { at: at(60), ..failed });
    }

    #[test]
    fn what_is_no_such_file_says_nothing() {
        for bytes in ["", "{half", "[]", "{}", r#"{"at": "never"}"#] {
            assert_eq!(Mirroring::parse(bytes.as_bytes()), None, "{bytes}");
        }
        let hostile = Mirroring::parse(br#"{"at": 1, "failed": "no\u001b[2J\nanswer"}"#).unwrap();
        assert_eq!(hostile.failed.unwrap(), "no [2J answer");
    }
}
