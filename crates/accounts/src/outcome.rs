//! The outcome of a command that changes something, for people and for scripts.

use records::audit::AuditAction;
use records::{Slot, Timestamp, text as shown};
use serde_json::json;

/// A slot, and its account as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedSlot {
    pub(crate) slot: Slot,
    pub(crate) name: String,
}

/// What was changed, and which account serves now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `None` if there was nothing to change.
    pub(crate) changed: Option<AuditAction>,
    /// `None` if it concerns no single account.
    pub(crate) slot: Option<Slot>,
    pub(crate) message: String,
    pub(crate) until: Option<Timestamp>,
    pub(crate) serving: NowServing,
}

/// Which account serves agents after a change. If nothing was changed, all of it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NowServing {
    pub(crate) account: Option<NamedSlot>,
    /// Why no account serves, if that is so.
    pub(crate) why_none: Option<String>,
    /// Whether the rotator was asked to do what only it does: refresh.
    pub(crate) rotator_woken: bool,
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        let mut text = shown::line(&self.message) + "\n";
        let NowServing { account, why_none, rotator_woken } = &self.serving;
        let serving = account.as_ref().map(|NamedSlot { slot, name }| format!("serving: {slot} ({name})"));
        if let Some(line) = serving.or_else(|| why_none.clone()) {
            text = text + &shown::line(&line) + "\n";
        }
        if *rotator_woken {
            text += "the rotator was woken: it refreshes what is due and publishes what it can\n";
        }
        text
    }

    /// Version 1, as `docs/scripts.md` documents it.
    pub(crate) fn json(&self) -> String {
        let NowServing { account, rotator_woken, .. } = &self.serving;
        let document = json!({
            "version": 1,
            "changed": self.changed,
            "slot": self.slot,
            "until": self.until,
            "message": self.message,
            "serving": account.as_ref().map(|NamedSlot { slot, name }| json!({"slot": slot, "identity": name})),
            "rotator_woken": rotator_woken,
        });
        shown::document(document).to_string() + "\n"
    }
}
