//! The published record: what LiteLLM reads on every request.
//!
//! It is complete, it never seems to end and it has no refresh token, so that LiteLLM can neither refresh, nor
//! write, nor begin a device login that hangs it; a bad token is a plain 401.

use serde_json::{Map, Value, json};

use crate::{AccountId, Login};

/// The year 2100: far enough that LiteLLM never thinks of refreshing. Whole seconds, as LiteLLM wants them.
const EXPIRES_AT: i64 = 4_102_444_800;

/// What the placeholder has for an account id.
const NOBODY: &str = "none";

/// The bytes that publish a login.
#[must_use]
pub fn record(login: &Login) -> Vec<u8> {
    let mut record = Map::new();
    record.insert("access_token".into(), login.access_token.expose().into());
    record.insert("account_id".into(), login.account.account_id.clone().into());
    if let Some(id_token) = &login.id_token {
        record.insert("id_token".into(), id_token.expose().into());
    }
    record.insert("expires_at".into(), EXPIRES_AT.into());
    bytes(&Value::Object(record))
}

/// The bytes that stand there while no account is usable: enough for LiteLLM to start, good for nothing else.
#[must_use]
pub fn placeholder() -> Vec<u8> {
    bytes(&json!({"access_token": "placeholder", "account_id": NOBODY, "expires_at": EXPIRES_AT}))
}

fn bytes(record: &Value) -> Vec<u8> {
    let mut bytes = record.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// What was found where the published record should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Our placeholder.
    Placeholder,
    /// A record of ours.
    Record {
        /// Whose it is.
        account: AccountId,
    },
    /// Something that LiteLLM may hang on, or write to.
    Foreign {
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Found {
    /// Judges the bytes that stand in `auth.json`.
    #[must_use]
    pub fn judge(content: &[u8]) -> Self {
        let document: Value = serde_json::from_slice(content).unwrap_or(Value::Null);
        let login = Login::parse(content).ok();
        let foreign = |why| Self::Foreign { why };
        let Some(found) = login.as_ref().filter(|_| !document["tokens"].is_object()) else {
            return foreign("not a record that LiteLLM can use");
        };
        if found.refresh_token.is_some() {
            foreign("has a refresh token, which LiteLLM would use up")
        } else if document["expires_at"].as_i64() != Some(EXPIRES_AT) || !document["account_id"].is_string() {
            foreign("not complete, which makes LiteLLM write to it")
        } else if document["account_id"] == NOBODY {
            Self::Placeholder
        } else {
            Self::Record { account: found.account.clone() }
        }
    }

    /// Whether LiteLLM can be left alone with it.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        matches!(self, Self::Placeholder | Self::Record { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn login() -> Login {
        let (access, refresh) = (Secret::new("at-1"), Some(Secret::new("rt-1")));
        Login::of_tokens(access, refresh, Some(Secret::new("it-1")), Some("acct-A")).unwrap()
    }

    #[test]
    fn publishes_everything_litellm_needs_and_no_refresh_token() {
        let record: Value = serde_json::from_slice(&record(&login())).unwrap();
        assert_eq!(
            record,
            json!({"access_token": "at-1", "account_id": "acct-A", "id_token": "it-1", "expires_at": 4_102_444_800_i64})
        );
    }

    #[test]
    fn knows_its_own_records_again() {
        assert_eq!(Found::judge(&record(&login())), Found::Record { account: login().account });
        assert_eq!(Found::judge(&placeholder()), Found::Placeholder);
        // Whose it is stands in the id token alone, {"email":"ann@example.test"}, or in the file alone.
        let id_token = Secret::new("e30.eyJlbWFpbCI6ImFubkBleGFtcGxlLnRlc3QifQ.x");
        for id_token in [None, Some(id_token)] {
            let login = Login::of_tokens(Secret::new("at-1"), None, id_token, Some("acct-A")).unwrap();
            assert_eq!(Found::judge(&record(&login)), Found::Record { account: login.account });
        }
    }

    #[test]
    fn tells_apart_what_would_make_litellm_hang_or_write() {
        for content in [
            "",
            "{\"access_token\": \"half",
            "[]",
            r#"{"tokens": {"access_token": "a", "account_id": "b"}}"#,
            r#"{"access_token": "a", "account_id": "b", "refresh_token": "c", "expires_at": 4102444800}"#,
            r#"{"access_token": "a", "account_id": "b", "expires_at": "4102444800"}"#,
            r#"{"access_token": "a", "account_id": "b"}"#,
        ] {
            assert!(!Found::judge(content.as_bytes()).is_well_formed(), "{content}");
        }
    }
}
