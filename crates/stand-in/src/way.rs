//! The ways to say "no more".

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a request is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It is not.
    #[default]
    None,
    /// 429 `usage_limit_reached`, with a full window in its headers.
    UsageLimitReached,
    /// 429 with a full window in its headers and no body.
    HeadersAlone,
    /// 429 without a body.
    NoBody,
    /// 429 with a page of HTML.
    Html,
    /// 429 with nothing but a `detail`.
    Detail,
    /// 429 with an error that has nothing but a message.
    MessageOnly,
    /// 429 `usage_not_included`: the plan does not cover codex.
    UsageNotIncluded,
    /// 429 `rate_limit_exceeded` on tokens per minute, with a pause in its message.
    PerMinute,
    /// 429 `rate_limit_exceeded`, as under momentary load.
    RateLimited,
    /// 402 `deactivated_workspace`.
    DeactivatedWorkspace,
    /// 400: the model is not supported with a `ChatGPT` account.
    ModelNotSupported,
    /// 401 `token_invalidated`.
    Invalidated,
    /// 403 in JSON.
    Forbidden,
    /// 403 with a challenge page of 60 kB. For all accounts and models it is met at the address: before anything is
    /// known of the bearer.
    Challenge,
    /// 500.
    Broken,
    /// 200, and the stream ends in `response.failed` before the first word.
    ResponseFailed,
    /// 200, and the stream ends in `response.failed` after some words.
    FailedInMidstream,
    /// 200, and the stream ends in `response.incomplete`.
    ResponseIncomplete,
    /// 200, and the stream ends in an `error` event that has the reset and the headers in it.
    ErrorEvent,
    /// Word for word.
    Verbatim {
        /// The status.
        status: u16,
        /// The header `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
}

/// What the `x-codex-*` headers of a refusal show of the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// There are no such headers.
    Nothing,
    /// What is really used.
    AsTheyAre,
    /// The first as used up, until the reset of the refusal.
    Full,
}

impl Way {
    /// As the control API calls it.
    pub(crate) fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            _ => "verbatim".to_owned(),
        }
    }

    /// The code that it carries, or its name when it carries none.
    pub(crate) fn code(&self) -> String {
        let code = match self {
            Self::UsageLimitReached
            | Self::ResponseFailed
            | Self::FailedInMidstream
            | Self::ResponseIncomplete
            | Self::ErrorEvent => "usage_limit_reached",
            Self::PerMinute | Self::RateLimited => "rate_limit_exceeded",
            Self::Invalidated => "token_invalidated",
            Self::Broken => "server_error",
            _ => return self.name(),
        };
        code.to_owned()
    }

    /// What its headers show unless they are told otherwise.
    pub(crate) fn shown(&self) -> Shown {
        match self {
            Self::UsageLimitReached | Self::HeadersAlone => Shown::Full,
            Self::ResponseFailed | Self::FailedInMidstream | Self::ResponseIncomplete | Self::ErrorEvent => {
                Shown::AsTheyAre
            }
            _ => Shown::Nothing,
        }
    }

    /// Whether it is about what the account may still use, so that another account may have been the better choice.
    pub(crate) fn is_a_limit(&self) -> bool {
        match self {
            Self::None | Self::Invalidated | Self::Forbidden | Self::Challenge | Self::Broken => false,
            Self::Verbatim { status, .. } => matches!(status, 402 | 429),
            _ => true,
        }
    }
}
