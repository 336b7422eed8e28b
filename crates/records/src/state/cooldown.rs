//! Until when an account is left alone, and how that is known.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Until when an account is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    pub until: Timestamp,
    pub kind: CooldownKind,
    pub source: CooldownSource,
}

/// What kind of refusal a cooldown is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CooldownKind {
    /// The account has reached its limit in a usage window.
    UsageCap,
    /// A burst of requests, or trouble that passes.
    Transient,
    /// The provider refused the access token.
    Refused,
}

/// Where the end of a cooldown comes from, the most reliable first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CooldownSource {
    /// The provider's `resets_at` or `resets_in_seconds`.
    ResetsAt,
    /// The provider's `x-codex-*` headers.
    Headers,
    /// A bound of our own, because the provider named no time.
    Floor,
    /// The predecessor's state.
    Predecessor,
}

/// `2026-11-23T15:00:00Z (usage cap, resets_at)`
impl fmt::Display for Cooldown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            CooldownKind::UsageCap => "usage cap",
            CooldownKind::Transient => "transient",
            CooldownKind::Refused => "refused",
        };
        let source = match self.source {
            CooldownSource::ResetsAt => "resets_at",
            CooldownSource::Headers => "headers",
            CooldownSource::Floor => "floor",
            CooldownSource::Predecessor => "predecessor",
        };
        write!(f, "{} ({kind}, {source})", self.until)
    }
}
