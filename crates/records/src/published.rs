//! The published record: what LiteLLM reads on every request.
//!
//! It is complete, its end is far away and it has no refresh token, so that LiteLLM can neither refresh, nor write, nor
//! begin a device login on which it would hang; a bad token is a plain 401.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{AccountId, Login, Secret};

/// The year 2100: so far away that LiteLLM never attempts a refresh. LiteLLM reads whole seconds only.
const EXPIRES_AT: i64 = 4_102_444_800;

/// The placeholder's account id.
const NO_ACCOUNT: &str = "none";

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

/// The bytes of the records with which single models are served, for LiteLLM's callback: those for which the published
/// record does not stand. A model that no account serves has none.
#[must_use]
pub fn by_model(logins: &BTreeMap<String, Option<&Login>>) -> Vec<u8> {
    let records = logins.iter().map(|(model, login)| {
        let record = login.map(|login| {
            json!({"access_token": login.access_token.expose(), "account_id": login.account.account_id})
        });
        (model.clone(), record.unwrap_or_default())
    });
    bytes(&json!({"version": 1, "models": records.collect::<Map<_, _>>()}))
}

/// The bytes of a record of no account, with which LiteLLM can start, and every call is answered by 401.
#[must_use]
pub fn placeholder() -> Vec<u8> {
    bytes(&json!({"access_token": "placeholder", "account_id": NO_ACCOUNT, "expires_at": EXPIRES_AT}))
}

fn bytes(record: &Value) -> Vec<u8> {
    let mut bytes = record.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// A record as it leaves the pod: what LiteLLM needs of it, and no id token, which names a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    pub access_token: Secret,
    pub account_id: String,
}

impl Exported {
    /// What leaves the pod of a record, or of one that has left it; `None` if LiteLLM cannot use it.
    #[must_use]
    pub fn of(record: &[u8]) -> Option<Self> {
        if !PublishedRecord::judge(record).is_well_formed() {
            return None;
        }
        let record: Value = serde_json::from_slice(record).ok()?;
        let text = |name: &str| record[name].as_str();
        Some(Self {
            access_token: Secret::new(text("access_token")?),
            account_id: text("account_id")?.to_owned(),
        })
    }

    /// The bytes of the record.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let (access_token, account_id) = (self.access_token.expose(), &self.account_id);
        bytes(&json!({"access_token": access_token, "account_id": account_id, "expires_at": EXPIRES_AT}))
    }
}

/// What is in the place of the published record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishedRecord {
    Missing,
    Placeholder,
    /// A record of ours, of this account.
    Account(AccountId),
    /// Something on which LiteLLM may hang, or to which it may write, and what is wrong with it.
    Foreign {
        why: &'static str,
    },
}

impl PublishedRecord {
    /// Judges the bytes of `auth.json`.
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
        } else if document["account_id"] == NO_ACCOUNT {
            Self::Placeholder
        } else {
            Self::Account(found.account.clone())
        }
    }

    /// Whether LiteLLM can use it without hanging and without writing to it.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        matches!(self, Self::Placeholder | Self::Account(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        let (access, refresh) = (Secret::new("at-1"), Some(Secret::new("rt-1")));
        Login::from_tokens(access, refresh, Some(Secret::new("it-1")), Some("acct-A")).unwrap()
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
    fn what_leaves_the_pod_has_no_id_token_and_nothing_leaves_with_a_refresh_token() {
        let exported = Exported::of(&record(&login())).unwrap();
        let content: Value = serde_json::from_slice(&exported.bytes()).unwrap();
        assert_eq!(
            content,
            json!({"access_token": "at-1", "account_id": "acct-A", "expires_at": 4_102_444_800_i64})
        );
        assert_eq!(Exported::of(&exported.bytes()), Some(exported));
        assert!(Exported::of(&placeholder()).is_some());
        let master =
            r#"{"access_token": "a", "account_id": "b", "refresh_token": "c", "expires_at": 4102444800}"#;
        assert_eq!(Exported::of(master.as_bytes()), None);
    }

    #[test]
    fn recognizes_its_own_records() {
        assert_eq!(PublishedRecord::judge(&record(&login())), PublishedRecord::Account(login().account));
        assert_eq!(PublishedRecord::judge(&placeholder()), PublishedRecord::Placeholder);
        // The account is named by the id token alone, {"email":"ann@example.test"}, or by the file alone.
        let id_token = Secret::new("e30.eyJlbWFpbCI6ImFubkBleGFtcGxlLnRlc3QifQ.x");
        for id_token in [None, Some(id_token)] {
            let login = Login::from_tokens(Secret::new("at-1"), None, id_token, Some("acct-A")).unwrap();
            assert_eq!(PublishedRecord::judge(&record(&login)), PublishedRecord::Account(login.account));
        }
    }

    #[test]
    fn recognizes_what_would_make_litellm_hang_or_write() {
        for content in [
            "",
            "{\"access_token\": \"half",
            "[]",
            r#"{"tokens": {"access_token": "a", "account_id": "b"}}"#,
            r#"{"access_token": "a", "account_id": "b", "refresh_token": "c", "expires_at": 4102444800}"#,
            r#"{"access_token": "a", "account_id": "b", "expires_at": "4102444800"}"#,
            r#"{"access_token": "a", "account_id": "b"}"#,
        ] {
            assert!(!PublishedRecord::judge(content.as_bytes()).is_well_formed(), "{content}");
        }
    }
}
