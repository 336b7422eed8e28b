//! What the rotator remembers from one pass to the next.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{AccountId, Slot, Timestamp};

/// The version this program writes.
const VERSION: u32 = 1;

/// The content of `rotator_state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// Whose record is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<Active>,
    /// What a later release of the same version added: kept.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The account in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// Who.
    #[serde(flatten)]
    pub account: AccountId,
    /// Where its login was when it became active.
    pub slot: Slot,
    /// Since when.
    pub since: Timestamp,
}

/// Why a file is not a state of ours.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotAState {
    /// It does not parse.
    #[error("not a state file ({0})")]
    Broken(String),
    /// It is the predecessor's.
    #[error("the predecessor's state")]
    Predecessor,
    /// It was written by a release after this one.
    #[error("version {0}, which is newer than this program: use the newer one")]
    Newer(u64),
}

impl Default for State {
    fn default() -> Self {
        Self { version: VERSION, active: None, rest: Map::new() }
    }
}

impl State {
    /// Reads a state from a file's bytes.
    ///
    /// # Errors
    /// See [`NotAState`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAState> {
        let broken = |e: serde_json::Error| NotAState::Broken(e.to_string());
        let document: Value = serde_json::from_slice(bytes).map_err(broken)?;
        match document["version"].as_u64() {
            Some(version) if version > u64::from(VERSION) => Err(NotAState::Newer(version)),
            None if document.get("last_index").is_some() || document.get("last_label").is_some() => {
                Err(NotAState::Predecessor)
            }
            _ => serde_json::from_value(document).map_err(broken),
        }
    }

    /// The bytes to write.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a state has string keys only");
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote_and_keeps_what_it_does_not_know() {
        let text = r#"{"version": 1, "active": {"account_id": "acct-A", "user_id": "user-A", "slot": 2,
            "since": "2026-11-23T12:32:55.123Z"}, "pins": [1]}"#;
        let state = State::parse(text.as_bytes()).unwrap();
        assert_eq!(state.active.as_ref().unwrap().slot.to_string(), "account-2");
        assert_eq!(State::parse(&state.to_bytes()).unwrap(), state);
        assert!(String::from_utf8(state.to_bytes()).unwrap().contains("\"pins\""));
    }

    #[test]
    fn tells_the_predecessors_a_newer_and_a_broken_one_apart() {
        let parse = |text: &str| State::parse(text.as_bytes()).unwrap_err();
        assert_eq!(parse(r#"{"last_index": 0, "last_label": "account-1"}"#), NotAState::Predecessor);
        assert_eq!(parse(r#"{"version": 2}"#), NotAState::Newer(2));
        assert!(matches!(parse("{"), NotAState::Broken(_)));
        assert!(matches!(parse("[]"), NotAState::Broken(_)));
    }
}
