//! The issuer of the tokens, and the one HTTP client, by which the provider is asked and a webhook told, too.
//!
//! A refresh token works once, so what matters of a failure is one thing: can the request have arrived? See
//! [`Answer`].

mod client;
pub mod provider;
mod sent;
mod trust;
pub mod webhook;

use auth_volume::Secret;
use serde_json::{Value, json};
use ureq::{Agent, Error};

use crate::sent::Sent;

/// Where tokens are renewed, unless `CODEX_REFRESH_TOKEN_URL_OVERRIDE` (codex's own name) says otherwise.
const TOKEN_URL: &str = "https://auth.openai.com/oauth/token";

/// Where a login is ended, unless `CODEX_REVOKE_TOKEN_URL_OVERRIDE` (codex's own name) says otherwise.
const REVOKE_URL: &str = "https://auth.openai.com/oauth/revoke";

/// codex's own client, unless `OPENAI_CODEX_CLIENT_ID` (the predecessor's name) says otherwise.
const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// The longest answer that is read.
const LONGEST: u64 = 1 << 20;

/// Codes after which a grant never works again. Everything else is worth another try.
const TERMINAL: [&str; 9] = [
    "refresh_token_expired",
    "refresh_token_reused",
    "refresh_token_invalidated",
    "invalid_grant",
    "token_revoked",
    "token_invalidated",
    "app_session_terminated",
    "account_deactivated",
    "account_deleted",
];

/// The issuer.
#[derive(Debug)]
pub struct Issuer {
    agent: Agent,
    sent: Sent,
    url: String,
    revoke_url: String,
    client_id: String,
}

/// New tokens. What the issuer did not send stays as it was.
#[derive(Debug)]
pub struct Tokens {
    /// The new access token.
    pub access_token: Option<Secret>,
    /// The new refresh token: the old one is used up.
    pub refresh_token: Option<Secret>,
    /// The new id token.
    pub id_token: Option<Secret>,
}

/// What became of a request for new tokens.
#[derive(Debug)]
pub enum Answer {
    /// Here they are, and the refresh token that was sent is used up.
    Renewed(Tokens),
    /// The grant is dead, by this code.
    Dead(String),
    /// The issuer said no, for now; the refresh token is as good as before.
    NotNow {
        /// In words.
        said: String,
        /// Its code.
        code: Option<String>,
    },
    /// The request never left; the refresh token is as good as before.
    NotSent(String),
    /// The request may have arrived, and no whole answer came: the refresh token may be used up.
    Unanswered(String),
}

impl Issuer {
    /// The issuer that the environment names, through the proxy and with the trust it names.
    ///
    /// # Errors
    /// A certificate file that is named cannot be read.
    pub fn from_environment() -> anyhow::Result<Self> {
        let (agent, sent) = client::agent()?;
        Ok(Self {
            agent,
            sent,
            url: client::given("CODEX_REFRESH_TOKEN_URL_OVERRIDE").unwrap_or_else(|| TOKEN_URL.to_owned()),
            revoke_url: client::given("CODEX_REVOKE_TOKEN_URL_OVERRIDE")
                .unwrap_or_else(|| REVOKE_URL.to_owned()),
            client_id: client::given("OPENAI_CODEX_CLIENT_ID").unwrap_or_else(|| CLIENT_ID.to_owned()),
        })
    }

    /// Tells the issuer that a login has ended, by its refresh token.
    ///
    /// # Errors
    /// Why it was not told, or did not want to know.
    pub fn revoke(&self, token: &Secret) -> Result<(), String> {
        let request = json!({
            "token": token.expose(),
            "token_type_hint": "refresh_token",
            "client_id": self.client_id,
        });
        match self.agent.post(&self.revoke_url).send_json(request) {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("HTTP {}", response.status().as_u16())),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Asks for new tokens. Whatever the answer, the caller must assume the worst until it is stored.
    #[must_use]
    pub fn refresh(&self, refresh_token: &Secret) -> Answer {
        let request = json!({
            "client_id": self.client_id,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token.expose(),
        });
        self.sent.reset();
        let mut response = match self.agent.post(&self.url).send_json(request) {
            Ok(response) => response,
            Err(e) if !self.sent.is_true() || is_distrust(&e) => return Answer::NotSent(e.to_string()),
            Err(e) => return Answer::Unanswered(e.to_string()),
        };
        let status = response.status().as_u16();
        match response.body_mut().with_config().limit(LONGEST).read_to_vec() {
            Ok(body) => judge(status, &body),
            // A status that is no success means that nothing was issued, whatever the rest would have said.
            Err(e) if status >= 400 => Answer::NotNow { said: format!("HTTP {status}, {e}"), code: None },
            Err(e) => Answer::Unanswered(e.to_string()),
        }
    }
}

/// Nothing is sent to a server whose certificate was not accepted, though sending is what finds that out.
fn is_distrust(error: &Error) -> bool {
    let Error::Io(error) = error else { return matches!(error, Error::Tls(_) | Error::Rustls(_)) };
    let tls = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    tls.is_some_and(|e| {
        matches!(e, rustls::Error::InvalidCertificate(_) | rustls::Error::PeerIncompatible(_))
    })
}

fn judge(status: u16, body: &[u8]) -> Answer {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let token = |name: &str| answer[name].as_str().map(Secret::new).filter(|token| !token.is_empty());
    if (200..300).contains(&status) {
        return match token("access_token") {
            Some(access_token) => Answer::Renewed(Tokens {
                access_token: Some(access_token),
                refresh_token: token("refresh_token"),
                id_token: token("id_token"),
            }),
            None => Answer::Unanswered(format!("HTTP {status} without an access token")),
        };
    }
    let refused = (400..500).contains(&status);
    match code(&answer).filter(|_| refused) {
        Some(code) if TERMINAL.contains(&code) => Answer::Dead(code.to_owned()),
        Some(code) => Answer::NotNow { said: format!("HTTP {status}, {code}"), code: Some(code.to_owned()) },
        None => Answer::NotNow { said: format!("HTTP {status}"), code: None },
    }
}

/// The code of an error. It comes from elsewhere and goes into a log line: only if it looks like one.
fn code(answer: &Value) -> Option<&str> {
    let error = &answer["error"];
    let code = error["code"].as_str().or_else(|| error.as_str()).or_else(|| error["type"].as_str())?;
    let is_code = code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(status: u16, body: &str) -> String {
        match judge(status, body.as_bytes()) {
            Answer::Renewed(tokens) => format!("renewed {}", tokens.access_token.unwrap().expose()),
            Answer::Dead(code) => format!("dead {code}"),
            Answer::NotNow { said, .. } => format!("not now {said}"),
            Answer::NotSent(why) => format!("not sent {why}"),
            Answer::Unanswered(why) => format!("unanswered {why}"),
        }
    }

    #[test]
    fn tells_a_dead_grant_from_one_to_try_again() {
        for (status, body, expected) in [
            (200, r#"{"access_token": "at", "refresh_token": "rt"}"#, "renewed at"),
            (200, r#"{"refresh_token": "rt"}"#, "unanswered HTTP 200 without an access token"),
            (200, "<html>", "unanswered HTTP 200 without an access token"),
            (401, r#"{"error": {"code": "refresh_token_reused"}}"#, "dead refresh_token_reused"),
            (400, r#"{"error": "invalid_grant", "error_description": "x"}"#, "dead invalid_grant"),
            (400, r#"{"error": {"code": "slow down!"}}"#, "not now HTTP 400"),
            (429, r#"{"error": {"code": "rate_limited"}}"#, "not now HTTP 429, rate_limited"),
            (500, r#"{"error": {"code": "invalid_grant"}}"#, "not now HTTP 500"),
            (503, "", "not now HTTP 503"),
        ] {
            assert_eq!(says(status, body), expected, "{status} {body}");
        }
    }
}
