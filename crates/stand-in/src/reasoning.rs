//! Encrypted reasoning: opaque to the client, and bound to the account and the thread in which it was made.

use std::collections::HashMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::Account;
use crate::token::{now, random};
use crate::turn::Turn;

/// `POST /_control/reasoning`: what becomes of items that another account made.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasoningRequest {
    /// Whether they are accepted; what cannot be read is refused all the same.
    pub lenient: bool,
}

/// All reasoning that was ever handed out. Only the stand-in knows what an item holds, because it looks it up here.
#[derive(Default)]
pub(crate) struct Reasoning {
    pub(crate) lenient: bool,
    sealed: HashMap<String, Maker>,
}

/// What the input of a request replays.
#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) items: usize,
    pub(crate) foreign: usize,
    pub(crate) stray: usize,
    /// The message of the 400 that it earns.
    pub(crate) refused: Option<String>,
}

struct Maker {
    email: String,
    account_id: String,
    thread: Option<String>,
    /// Whether another account was refused for it already.
    refused: bool,
}

impl Reasoning {
    /// A new item, made by `account` in the thread of `turn`.
    pub(crate) fn seal(&mut self, account: &Account, turn: &Turn) -> Value {
        let content = opaque();
        let maker = Maker {
            email: account.email.clone(),
            account_id: account.account_id.clone(),
            thread: turn.thread().map(str::to_owned),
            refused: false,
        };
        self.sealed.insert(content.clone(), maker);
        let id = format!("rs_{}", random());
        json!({"id": id, "type": "reasoning", "summary": [], "encrypted_content": content})
    }

    /// Takes note that `account` is refused for the foreign items of `input`, and counts those that it is not the first
    /// to be refused for.
    pub(crate) fn refuse(&mut self, account: &Account, input: &Value) -> usize {
        let mut again = 0;
        for item in input.as_array().into_iter().flatten() {
            let maker = item["encrypted_content"].as_str().and_then(|content| self.sealed.get_mut(content));
            if let Some(maker) = maker.filter(|maker| !maker.is(account)) {
                again += usize::from(maker.refused);
                maker.refused = true;
            }
        }
        again
    }

    /// Looks at each encrypted item of `input`, whatever its type.
    pub(crate) fn check(&self, account: &Account, turn: &Turn, input: &Value) -> Replay {
        let mut replay = Replay::default();
        for item in input.as_array().into_iter().flatten() {
            let Some(content) = item["encrypted_content"].as_str() else { continue };
            let maker = self.sealed.get(content);
            let own = maker.is_some_and(|maker| maker.is(account));
            replay.items += 1;
            replay.foreign += usize::from(!own);
            replay.stray += usize::from(maker.is_none_or(|maker| maker.thread.as_deref() != turn.thread()));
            let reason = match maker {
                None => "Encrypted content could not be decrypted or parsed.",
                Some(_) if own || self.lenient => continue,
                Some(_) => "Encrypted content organization_id did not match the target organization.",
            };
            replay.refused.get_or_insert_with(|| {
                format!(
                    "The encrypted content {} could not be verified. Reason: {reason}",
                    name(item, content)
                )
            });
        }
        replay
    }
}

/// The 400 for what cannot be verified.
pub(crate) fn refused(message: &str) -> Response {
    let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": INVALID});
    (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response()
}

/// The code of that 400.
pub(crate) const INVALID: &str = "invalid_encrypted_content";

impl Maker {
    fn is(&self, account: &Account) -> bool {
        self.email == account.email && self.account_id == account.account_id
    }
}

/// How the provider names an item: by its id, or by the ends of its content when codex has left the id out.
fn name(item: &Value, content: &str) -> String {
    if let Some(id) = item["id"].as_str() {
        return format!("for item {id}");
    }
    let characters: Vec<char> = content.chars().collect();
    let text = |part: &[char]| part.iter().collect::<String>();
    let (first, last) =
        (&characters[..characters.len().min(4)], &characters[characters.len().saturating_sub(4)..]);
    format!("{}...{}", text(first), text(last))
}

/// The shape of a Fernet token: a version, a time, and what looks random.
fn opaque() -> String {
    let random: String = (0..8).map(|_| random()).collect();
    BASE64_URL_SAFE.encode([&[0x80], now().to_be_bytes().as_slice(), random.as_bytes()].concat())
}
