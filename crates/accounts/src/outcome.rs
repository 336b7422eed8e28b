//! What came of an operator's word, for people and for scripts.

use records::audit::What;
use records::{Slot, Timestamp, text as shown};
use serde_json::json;

/// An account, as an operator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) slot: Slot,
    /// As it may be shown.
    pub(crate) name: String,
}

/// What was done, and who serves now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `None` when there was nothing to change.
    pub(crate) what: Option<What>,
    /// About whom; none for what concerns all of them.
    pub(crate) about: Option<Slot>,
    /// In words.
    pub(crate) said: String,
    pub(crate) until: Option<Timestamp>,
    pub(crate) served: NowServing,
}

/// Who serves agents then. Nothing is known of it when nothing was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NowServing {
    pub(crate) by: Option<Named>,
    /// Why nobody does, if that is so.
    pub(crate) nobody: Option<String>,
    /// Whether the rotator was asked to do what only it does: renewing.
    pub(crate) woke_rotator: bool,
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        let mut text = shown::line(&self.said) + "\n";
        let NowServing { by, nobody, woke_rotator } = &self.served;
        let serving = by.as_ref().map(|Named { slot, name }| format!("serving: {slot} ({name})"));
        if let Some(line) = serving.or_else(|| nobody.clone()) {
            text = text + &shown::line(&line) + "\n";
        }
        if *woke_rotator {
            text += "the rotator was woken: it renews what is due and publishes what it can\n";
        }
        text
    }

    /// Version 1, as `docs/scripts.md` documents it.
    pub(crate) fn json(&self) -> String {
        let serving =
            self.served.by.as_ref().map(|named| json!({"slot": named.slot, "identity": named.name}));
        let document = json!({
            "version": 1,
            "changed": self.what,
            "slot": self.about,
            "until": self.until,
            "message": self.said,
            "serving": serving,
            "rotator_woken": self.served.woke_rotator,
        });
        shown::document(document).to_string() + "\n"
    }
}
