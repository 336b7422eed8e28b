//! The heartbeat that LiteLLM's callback writes each minute, while a LiteLLM runs that has loaded it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::text::printable;

/// What the callback writes about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub at: Timestamp,
    /// Whether the callback is among those that LiteLLM calls. One that was only imported is never called.
    pub held: bool,
    /// LiteLLM's version; printable.
    pub litellm: String,
    /// Why it could not leave its last signal, if it could not; printable.
    pub cannot_write: Option<String>,
}

impl Heartbeat {
    /// Reads a heartbeat from a file's bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(bytes).ok()?)
    }

    /// Reads a heartbeat that is a part of a document.
    pub(crate) fn of(document: &Value) -> Option<Self> {
        Some(Self {
            at: Timestamp::from_json(&document["at"])?,
            held: document["held"].as_bool()?,
            litellm: printable(document["litellm"].as_str().unwrap_or("of an unknown version")),
            cannot_write: document["cannot_write"].as_str().map(printable),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_callback_writes_and_nothing_else() {
        let heartbeat = br#"{"at": 1795439506.2, "pid": 7, "litellm": "1.106.2", "held": true}"#;
        let at = Timestamp::from_json(&1_795_439_506.2.into()).unwrap();
        let litellm = "1.106.2".to_owned();
        assert_eq!(
            Heartbeat::parse(heartbeat),
            Some(Heartbeat { at, held: true, litellm, cannot_write: None })
        );
        let blocked =
            Heartbeat::parse(br#"{"at": 1, "held": true, "cannot_write": "rotate-now: \u001bno file"}"#);
        assert_eq!(blocked.unwrap().cannot_write.unwrap(), "rotate-now:  no file");
        let hostile =
            Heartbeat::parse(br#"{"at": 1, "held": true, "litellm": "1\u001b[2J\u202e\n"}"#).unwrap();
        assert_eq!(hostile.litellm, "1 [2J ");
        assert_eq!(Heartbeat::parse(b"{\"at\": 1"), None);
        assert_eq!(Heartbeat::parse(b"{\"at\": 1}"), None);
    }
}
