//! The shape of a token: three base64url parts, claims as codex and `LiteLLM` read them, a dummy signature.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::account::Account;

/// The public client id of the codex CLI, which `LiteLLM` uses as well.
pub const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// A JWT about `account`, and the second at which it expires.
pub(crate) fn jwt(account: &Account) -> (String, i64) {
    let issued = now();
    let expires = issued + account.token_lifetime_seconds;
    let claims = json!({
        "iss": "https://auth.openai.com",
        "aud": [CLIENT_ID],
        "iat": issued,
        "exp": expires,
        "jti": random(),
        "email": account.email,
        "https://api.openai.com/auth": {
            "chatgpt_account_id": account.account_id,
            "chatgpt_user_id": account.user_id,
            "chatgpt_plan_type": account.plan,
        },
    });
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "stand-in"});
    (format!("{}.{}.{}", part(&header), part(&claims), "c3RhbmQtaW4tc2lnbmF0dXJl"), expires)
}

/// Thirty-two hexadecimal digits, different in every call and every run; no secret depends on them.
pub(crate) fn random() -> String {
    // The standard library seeds each hasher from the system's randomness: enough to be unique.
    let draw = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", draw(), draw())
}

/// Seconds since the epoch.
pub(crate) fn now() -> i64 {
    i64::try_from(since_epoch().as_secs()).expect("the clock stands before the year 292 billion")
}

/// Seconds since the epoch, with their fraction.
pub(crate) fn now_exact() -> f64 {
    since_epoch().as_secs_f64()
}

fn since_epoch() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970")
}

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}
