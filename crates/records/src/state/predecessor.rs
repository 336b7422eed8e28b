//! The predecessor's state, which knows slots and no accounts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Slot, Timestamp};

/// What is taken over of the predecessor's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predecessor {
    /// The slot whose account was in use.
    pub last: Option<Slot>,
    /// Until when slots were left alone.
    pub cooldowns: BTreeMap<Slot, Timestamp>,
}

impl Predecessor {
    /// Reads its document; `None` if this is not one.
    pub(super) fn read(document: &Value) -> Option<Self> {
        let is_predecessors = document["version"].as_u64().is_none()
            && ["last_index", "last_label", "cooldowns"].iter().any(|key| document.get(key).is_some());
        if !is_predecessors {
            return None;
        }
        let slot = |label: &str| label.rsplit('-').next().and_then(|number| number.parse().ok());
        let last = document["last_label"].as_str().and_then(slot);
        let cooldowns = document["cooldowns"].as_object().into_iter().flatten();
        let cooldowns =
            cooldowns.filter_map(|(label, until)| Some((slot(label)?, Timestamp::from_json(until)?)));
        Some(Self { last, cooldowns: cooldowns.collect() })
    }
}
