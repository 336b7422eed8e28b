//! What a request to the model was about, as the log keeps it.

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reasoning::Replay;

/// One request to `/backend-api/codex/responses`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turn {
    /// The model that was asked for.
    pub model: Option<String>,
    /// The header `session_id` (`LiteLLM`) or `session-id` (codex).
    pub session_id: Option<String>,
    /// The header `thread-id`.
    pub thread_id: Option<String>,
    /// As in the body.
    pub prompt_cache_key: Option<String>,
    /// Encrypted items in the input.
    pub replayed_items: usize,
    /// Those of them that another account made, or that cannot be read at all.
    pub foreign_items: usize,
    /// Those of them that were made in another thread.
    pub stray_items: usize,
    /// Those of the foreign items for which a request had been refused before this one was.
    pub refused_again: usize,
    /// How it was refused, as the control API calls it; absent when it was served, or never admitted.
    pub refusal: Option<String>,
    /// The accounts that would have served it when this one was refused for its limits.
    pub quota_elsewhere: Vec<String>,
}

impl Turn {
    pub(crate) fn of(headers: &HeaderMap, body: &Value) -> Self {
        let header = |names: [&str; 2]| {
            let value = names.into_iter().find_map(|name| headers.get(name))?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let text = |key: &str| body[key].as_str().map(str::to_owned);
        Self {
            model: text("model"),
            session_id: header(["session_id", "session-id"]),
            thread_id: header(["thread-id", "thread_id"]),
            prompt_cache_key: text("prompt_cache_key"),
            ..Self::default()
        }
    }

    pub(crate) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("unknown")
    }

    /// The best name there is for the conversation.
    pub(crate) fn thread(&self) -> Option<&str> {
        let names = [&self.thread_id, &self.session_id, &self.prompt_cache_key];
        names.into_iter().find_map(Option::as_deref)
    }

    pub(crate) fn replaying(self, replay: &Replay) -> Self {
        let Replay { items, foreign, stray, .. } = *replay;
        Self { replayed_items: items, foreign_items: foreign, stray_items: stray, ..self }
    }
}
