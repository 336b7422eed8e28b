//! What a token says about itself.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::text::printable;
use crate::{Expiry, Secret, Timestamp};

/// The claims of a JWT that are used here. Its signature is not checked, because the claims only tell where it belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// When the token was issued (`iat`).
    pub issued: Option<Timestamp>,
    /// When the token ends (`exp`).
    pub expiry: Option<Expiry>,
    /// The person's email address (`email`, or the same in the profile claim).
    pub email: Option<String>,
    /// The workspace (`chatgpt_account_id`).
    pub account_id: Option<String>,
    /// The user (`chatgpt_user_id`, or `user_id`).
    pub user_id: Option<String>,
    /// The subject (`sub`).
    pub subject: Option<String>,
    /// The subscription (`chatgpt_plan_type`), printable: it is only shown.
    pub plan: Option<String>,
}

impl Claims {
    /// Reads a token's claims; `None` if it is not a JWT.
    #[must_use]
    pub fn of(token: &Secret) -> Option<Self> {
        let payload = token.expose().split('.').nth(1)?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        claims.is_object().then(|| Self::from_json(&claims))
    }

    fn from_json(claims: &Value) -> Self {
        let auth = &claims["https://api.openai.com/auth"];
        let profile = &claims["https://api.openai.com/profile"];
        Self {
            issued: Timestamp::from_json(&claims["iat"]),
            expiry: Timestamp::from_json(&claims["exp"]).map(Expiry),
            email: text(&claims["email"]).or_else(|| text(&profile["email"])),
            account_id: text(&auth["chatgpt_account_id"]),
            user_id: text(&auth["chatgpt_user_id"]).or_else(|| text(&auth["user_id"])),
            subject: text(&claims["sub"]),
            plan: text(&auth["chatgpt_plan_type"]).map(|plan| printable(&plan)),
        }
    }

    /// These claims, with missing ones taken from another token of the same login.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            issued: self.issued.or(other.issued),
            expiry: self.expiry.or(other.expiry),
            email: self.email.or(other.email),
            account_id: self.account_id.or(other.account_id),
            user_id: self.user_id.or(other.user_id),
            subject: self.subject.or(other.subject),
            plan: self.plan.or(other.plan),
        }
    }

    /// The user of the account: the user id, or what else distinguishes two people in one workspace.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let email =
            || self.email.as_ref().map(|email| email.trim().to_lowercase()).filter(|email| !email.is_empty());
        self.user_id.clone().or_else(|| self.subject.clone()).or_else(email)
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn jwt(claims: &Value) -> Secret {
        Secret::new(&fixture::jwt(claims))
    }

    #[test]
    fn reads_who_it_is_and_until_when() {
        let claims = Claims::of(&jwt(&json!({
            "exp": 1_795_439_575,
            "https://api.openai.com/profile": {"email": "ann@example.test"},
            "https://api.openai.com/auth":
                {"chatgpt_account_id": "acct-A", "user_id": "user-A", "chatgpt_plan_type": "plus"}
        })));
        let claims = claims.unwrap();
        assert_eq!(claims.expiry, Some(Expiry(Timestamp::from_seconds(1_795_439_575))));
        assert_eq!(claims.email.as_deref(), Some("ann@example.test"));
        assert_eq!(claims.account_id.as_deref(), Some("acct-A"));
        assert_eq!(claims.user_id.as_deref(), Some("user-A"));
        assert_eq!(claims.plan.as_deref(), Some("plus"));
    }

    #[test]
    fn a_user_is_known_by_an_id_else_by_the_subject_else_by_an_address() {
        let claims = json!({"sub": "auth0|1", "email": "Ann@Example.test",
            "https://api.openai.com/auth": {"chatgpt_user_id": "user-A"}});
        let mut claims = Claims::of(&jwt(&claims)).unwrap();
        assert_eq!(claims.user().as_deref(), Some("user-A"));
        claims.user_id = None;
        assert_eq!(claims.user().as_deref(), Some("auth0|1"));
        claims.subject = None;
        assert_eq!(claims.user().as_deref(), Some("ann@example.test"));
        for no_address in [None, Some(" ".to_owned())] {
            claims.email = no_address;
            assert_eq!(claims.user(), None);
        }
    }

    #[test]
    fn an_opaque_token_has_no_claims() {
        for token in ["", "opaque", "a.b.c", "e30.bnVsbA.x"] {
            assert_eq!(Claims::of(&Secret::new(token)), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn no_token_makes_it_panic(token in ".{0,200}") {
            let _ = Claims::of(&Secret::new(&token));
        }
    }
}
