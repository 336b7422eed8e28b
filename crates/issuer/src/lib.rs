//! The issuer of the tokens, and the one HTTP client, which is also used for the provider and for webhooks.
//!
//! A refresh token works once, so one thing matters about a failure: can the request have arrived? See [`Answer`].

mod address;
mod answer;
mod client;
pub mod codes;
mod environment;
pub mod provider;
mod proxy;
mod sent;
mod trust;
pub mod webhook;

#[cfg(test)]
mod tests;

use anyhow::Context as _;
use records::Secret;
use serde_json::json;

use crate::address::Address;
pub use crate::answer::{Answer, Tokens};
use crate::client::{Client, Limits};
use crate::environment::Environment;

/// Where tokens are refreshed, unless `CODEX_REFRESH_TOKEN_URL_OVERRIDE` (codex's own name) says otherwise.
const TOKEN_URL: &str = "https://auth.openai.com/oauth/token";

/// Where a grant is revoked, unless `CODEX_REVOKE_TOKEN_URL_OVERRIDE` (codex's own name) says otherwise.
const REVOKE_URL: &str = "https://auth.openai.com/oauth/revoke";

/// codex's own client, unless `OPENAI_CODEX_CLIENT_ID` (the predecessor's name) says otherwise.
const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// The issuer. Any number of threads may use it at the same time, because each request has a connection of its own, and
/// knows of itself whether it was sent.
#[derive(Clone, Debug)]
pub struct Issuer {
    refresh: Client,
    revoke: Client,
    client_id: String,
}

impl Issuer {
    /// The issuer that the environment names, through the proxy and with the trust that it names.
    ///
    /// # Errors
    /// An address, a proxy or a certificate file that is named cannot be used.
    pub fn from_environment() -> anyhow::Result<Self> {
        Self::of(Environment::of_process(), Limits::USUAL)
    }

    fn of(environment: Environment<'_>, limits: Limits) -> anyhow::Result<Self> {
        let client = |name: &str, usual: &str| {
            let url = environment.text(name);
            let address = Address::parse(Secret::new(url.as_deref().unwrap_or(usual)));
            Client::new(address.with_context(|| name.to_owned())?, environment, limits)
        };
        Ok(Self {
            refresh: client("CODEX_REFRESH_TOKEN_URL_OVERRIDE", TOKEN_URL)?,
            revoke: client("CODEX_REVOKE_TOKEN_URL_OVERRIDE", REVOKE_URL)?,
            client_id: environment.text("OPENAI_CODEX_CLIENT_ID").unwrap_or_else(|| CLIENT_ID.to_owned()),
        })
    }

    /// Revokes a grant, by its refresh token.
    ///
    /// # Errors
    /// Why the issuer was not reached, or that it refused.
    pub fn revoke(&self, token: &Secret) -> Result<(), String> {
        let request = json!({
            "token": token.expose(),
            "token_type_hint": "refresh_token",
            "client_id": self.client_id,
        });
        match self.revoke.post(request) {
            Ok(reply) if (200..300).contains(&reply.status()) => Ok(()),
            Ok(reply) => Err(self.revoke.with_proxy(format!("HTTP {}", reply.status()))),
            Err(no_reply) => Err(no_reply.why),
        }
    }

    /// Asks for new tokens. The caller must have noted that the refresh token may be used up from now on.
    #[must_use]
    pub fn refresh(&self, refresh_token: &Secret) -> Answer {
        let request = json!({
            "client_id": self.client_id,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token.expose(),
        });
        let mut reply = match self.refresh.post(request) {
            Ok(reply) => reply,
            Err(no_reply) if no_reply.was_sent => return Answer::Unanswered(no_reply.why),
            Err(no_reply) => return Answer::NotSent(no_reply.why),
        };
        let status = reply.status();
        match reply.body() {
            Ok(body) => match answer::judge(status, reply.headers(), &body) {
                // It may be the answer of the proxy itself.
                Answer::Unanswered(why) => Answer::Unanswered(self.refresh.with_proxy(why)),
                answer => answer,
            },
            Err(why) => Answer::Unanswered(format!("HTTP {status}, then {why}")),
        }
    }
}
