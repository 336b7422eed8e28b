//! The tokens of one login, in each shape in which a file may hold them.

use serde_json::Value;
use thiserror::Error;

use crate::claims::Claims;
use crate::document::Document;
use crate::grant::Grant;
use crate::{AccountId, Expiry, Secret, Timestamp};

/// A login as a master holds it: codex's own `auth.json`, or the flat shape of the predecessor and of LiteLLM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub access_token: Secret,
    /// Pays for one refresh.
    pub refresh_token: Option<Secret>,
    pub id_token: Option<Secret>,
    pub account: AccountId,
    /// The person's email address, where a token has it.
    pub email: Option<String>,
    /// The subscription, where a token names it.
    pub plan: Option<String>,
    /// When the access token ends, if it says so.
    pub expiry: Option<Expiry>,
    /// When the access token was issued, if it says so.
    pub issued: Option<Timestamp>,
    pub last_refresh: Option<Timestamp>,
}

/// How new a login is among those of its account, by the token's own `exp`, then its `iat`, then the file's
/// `last_refresh`. What the issuer wrote comes first, because files are copied, and other tools write times of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation {
    expiry: Option<Expiry>,
    issued: Option<Timestamp>,
    last_refresh: Option<Timestamp>,
}

/// Why a file is not a login. It never shows anything of the file's content.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotALogin {
    #[error("empty")]
    Empty,
    /// UTF-8 behind a mark that JSON does not allow.
    #[error("begins with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    #[error("UTF-16: save it as UTF-8")]
    Utf16,
    /// Space that was allocated and never written.
    #[error("only NUL bytes, as a crash of the machine leaves them")]
    OnlyNuls,
    /// Not JSON from this place on; both count from 1, and the column is 0 at the very start.
    #[error("not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    /// codex's file with an API key.
    #[error("an API key's file, which is no ChatGPT login (no access_token in it)")]
    ApiKey,
    /// codex's file with an agent identity.
    #[error("an agent identity's file, which is no ChatGPT login (no access_token in it)")]
    AgentIdentity,
    /// A JSON file without tokens.
    #[error("no access_token in it")]
    NoAccessToken,
    /// Neither a token nor the file names an account.
    #[error("no account id in it or in its tokens")]
    NoAccount,
}

impl Login {
    /// Reads a login from a file's bytes.
    ///
    /// # Errors
    /// The file is something else, or tokens are missing in it: see [`NotALogin`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotALogin> {
        let document: Value = serde_json::from_slice(bytes).map_err(|e| not_json(bytes, &e))?;
        let tokens = if document["tokens"].is_object() { &document["tokens"] } else { &document };
        let access_token = secret(&tokens["access_token"]).ok_or_else(|| no_login(&document))?;
        let mut login = Self::from_tokens(
            access_token,
            secret(&tokens["refresh_token"]),
            secret(&tokens["id_token"]),
            tokens["account_id"].as_str(),
        )
        .ok_or(NotALogin::NoAccount)?;
        login.expiry = login.expiry.or_else(|| Timestamp::from_json(&tokens["expires_at"]).map(Expiry));
        login.last_refresh = Timestamp::from_json(&document["last_refresh"]);
        Ok(login)
    }

    /// A login of bare tokens; `account_id` counts only where the tokens name no account. `None` if no account is known.
    #[must_use]
    pub fn from_tokens(
        access_token: Secret,
        refresh_token: Option<Secret>,
        id_token: Option<Secret>,
        account_id: Option<&str>,
    ) -> Option<Self> {
        let of_access = Claims::of(&access_token).unwrap_or_default();
        let (expiry, issued) = (of_access.expiry, of_access.issued);
        let of_id = id_token.as_ref().and_then(Claims::of).unwrap_or_default();
        let claims = of_access.or(of_id);
        let given = account_id.map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
        let account = AccountId { user_id: claims.user(), account_id: claims.account_id.or(given)? };
        let (email, plan) = (claims.email, claims.plan);
        Some(Self {
            access_token,
            refresh_token,
            id_token,
            account,
            email,
            plan,
            expiry,
            issued,
            last_refresh: None,
        })
    }

    /// The grant of this login, which distinguishes it from a later one of the same account.
    #[must_use]
    pub fn grant(&self) -> Grant {
        Grant::of(self.refresh_token.as_ref().unwrap_or(&self.access_token))
    }

    /// The greater one belongs to the newer login of an account.
    #[must_use]
    pub fn generation(&self) -> Generation {
        let Self { expiry, issued, last_refresh, .. } = *self;
        Generation { expiry, issued, last_refresh }
    }

    /// The bytes of a master with these tokens in the place of its own, in codex's shape or the flat one; everything else
    /// in it stays byte for byte. What is no JSON object is replaced by codex's shape.
    #[must_use]
    pub fn merged_into(&self, master: &[u8], now: Timestamp) -> Vec<u8> {
        let (document, tokens) = match Document::parse(master) {
            Some(document) => {
                let tokens = document.object("tokens");
                (document, tokens)
            }
            None => (Document::default().with("auth_mode", "chatgpt"), Some(Document::default())),
        };
        let document = match tokens {
            Some(tokens) => document.with_object("tokens", self.put_into(tokens)),
            None => match self.expiry {
                Some(expiry) => self.put_into(document).with("expires_at", expiry.0.seconds()),
                // What is there is the end of the old token.
                None => self.put_into(document).without("expires_at"),
            },
        };
        document.with("last_refresh", now).to_bytes()
    }

    fn put_into(&self, document: Document) -> Document {
        let given = [
            ("access_token", Some(self.access_token.expose())),
            ("refresh_token", self.refresh_token.as_ref().map(Secret::expose)),
            ("id_token", self.id_token.as_ref().map(Secret::expose)),
            ("account_id", Some(&self.account.account_id)),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(document, |document, (name, value)| document.with(name, value))
    }

    /// Whether the access token can be used now. One that does not say when it ends may be tried.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expiry.is_none_or(|expiry| !expiry.has_passed(now))
    }

    /// `expires 2026-12-03T10:00:00Z`, for log lines.
    #[must_use]
    pub fn expires(&self) -> String {
        self.expiry.map_or_else(|| "expiry unknown".to_owned(), |expiry| format!("expires {expiry}"))
    }
}

/// What is known of a file that is not JSON.
fn not_json(bytes: &[u8], error: &serde_json::Error) -> NotALogin {
    match bytes.trim_ascii() {
        [] => NotALogin::Empty,
        [0xef, 0xbb, 0xbf, ..] => NotALogin::ByteOrderMark,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => NotALogin::Utf16,
        bytes if bytes.iter().all(|byte| *byte == 0) => NotALogin::OnlyNuls,
        _ => NotALogin::NotJson { line: error.line(), column: error.column() },
    }
}

/// What is known of a document without an access token.
fn no_login(document: &Value) -> NotALogin {
    let holds = |name: &str| document[name].as_str().is_some_and(|text| !text.is_empty());
    match document["auth_mode"].as_str() {
        Some("agentIdentity") => NotALogin::AgentIdentity,
        Some("apikey") => NotALogin::ApiKey,
        _ if holds("agent_identity") => NotALogin::AgentIdentity,
        _ if holds("OPENAI_API_KEY") => NotALogin::ApiKey,
        _ => NotALogin::NoAccessToken,
    }
}

fn secret(value: &Value) -> Option<Secret> {
    value.as_str().map(Secret::new).filter(|secret| !secret.is_empty())
}

#[cfg(test)]
mod tests;
