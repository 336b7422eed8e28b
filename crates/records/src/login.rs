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
mod tests {
    use fixture::jwt;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token_of(account: &str, exp: i64) -> String {
        let claims = json!({"exp": exp, "email": "ann@example.test", "https://api.openai.com/auth":
            {"chatgpt_account_id": account, "chatgpt_user_id": "user-A", "chatgpt_plan_type": "plus"}});
        jwt(&claims)
    }

    fn parse(value: &Value) -> Result<Login, NotALogin> {
        Login::parse(value.to_string().as_bytes())
    }

    #[test]
    fn reads_what_codex_writes() {
        let login = parse(&json!({
            "auth_mode": "chatgpt", "OPENAI_API_KEY": null,
            "tokens": {"id_token": token_of("acct-A", 1), "access_token": token_of("acct-A", 1_795_439_575),
                "refresh_token": "rt-1", "account_id": "acct-A"},
            "last_refresh": "2026-11-23T12:35:27.198020374Z"
        }))
        .unwrap();
        assert_eq!(login.account.to_string(), "acct-A/user-A");
        assert_eq!(login.email.as_deref(), Some("ann@example.test"));
        assert_eq!(login.expires(), "expires 2026-11-23T13:12:55Z");
        assert_eq!(login.refresh_token.unwrap().expose(), "rt-1");
        assert_eq!(login.last_refresh.unwrap().to_string(), "2026-11-23T12:35:27Z");
    }

    #[test]
    fn reads_the_flat_shape_also_with_opaque_tokens() {
        let login =
            parse(&json!({"access_token": "opaque", "account_id": "acct-A", "expires_at": 1_795_439_575}));
        let login = login.unwrap();
        assert_eq!(login.account.to_string(), "acct-A");
        assert_eq!(login.expires(), "expires 2026-11-23T13:12:55Z");
        assert_eq!(login.refresh_token, None);
    }

    #[test]
    fn the_newer_login_is_the_one_whose_token_ends_later_whatever_its_file_says() {
        let login = |exp: i64, iat: i64, last_refresh: Value| {
            let claims = json!({"exp": exp, "iat": iat});
            let token = jwt(&claims);
            parse(&json!({"access_token": token, "account_id": "a", "last_refresh": last_refresh})).unwrap()
        };
        let in_order = [
            login(0, 0, json!("2026-11-25T00:00:00Z")),
            login(100, 0, json!(null)),
            login(100, 50, json!(null)),
            login(100, 50, json!("2026-11-23T12:00:00Z")),
            login(100, 50, json!("2026-11-24T12:00:00+08:00")),
            login(100, 51, json!("2026-11-23T12:00:00Z")),
            login(101, 1, json!("unreadable")),
        ];
        assert!(in_order.is_sorted_by(|a, b| a.generation() < b.generation()));
    }

    #[test]
    fn two_people_of_a_workspace_are_two_accounts_also_without_user_ids() {
        let login = |claims: Value| {
            parse(&json!({"access_token": jwt(&claims), "account_id": "team"})).unwrap().account
        };
        let eve = login(json!({"email": "eve@example.test"}));
        assert_ne!(eve, login(json!({"email": "fay@example.test"})));
        assert_eq!(eve, login(json!({"email": "Eve@Example.Test"})));
        assert_ne!(login(json!({"sub": "1"})), login(json!({"sub": "2"})));
        // What only the id token says counts, too, and a user id before all else.
        let id_token = jwt(&json!({"sub": "1"}));
        let both = json!({"access_token": token_of("team", 1), "id_token": id_token});
        assert_eq!(parse(&both).unwrap().account.user_id.as_deref(), Some("user-A"));
    }

    #[test]
    fn the_token_knows_better_than_the_file_whose_it_is() {
        let login = parse(&json!({"access_token": token_of("acct-A", 1), "account_id": "acct-B"})).unwrap();
        assert_eq!(login.account.account_id, "acct-A");
    }

    #[test]
    fn says_what_is_wrong_without_saying_what_is_in_it() {
        let parse = |text: &str| Login::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(parse(" \n"), "empty");
        assert_eq!(parse("{\"access_token\": \"secret"), "not JSON (line 1, column 24)");
        assert_eq!(parse("[]"), "no access_token in it");
        assert_eq!(parse("{\"OPENAI_API_KEY\": null}"), "no access_token in it");
        let api_key = "an API key's file, which is no ChatGPT login (no access_token in it)";
        assert_eq!(parse("{\"OPENAI_API_KEY\": \"sk-secret\"}"), api_key);
        assert_eq!(parse("{\"auth_mode\": \"apikey\", \"tokens\": null}"), api_key);
        assert_eq!(
            parse("{\"auth_mode\": \"agentIdentity\", \"agent_identity\": \"eyJ\"}"),
            "an agent identity's file, which is no ChatGPT login (no access_token in it)"
        );
        assert_eq!(
            parse("\u{feff}{\"access_token\": \"secret\"}"),
            "begins with a byte order mark: save it as UTF-8 without one"
        );
        assert_eq!(parse("\0\0\0"), "only NUL bytes, as a crash of the machine leaves them");
        for utf16 in [&b"\xff\xfe{\0"[..], b"\xfe\xff\0{", b"{\0\"\0", b"\0{\0\""] {
            assert_eq!(Login::parse(utf16).unwrap_err(), NotALogin::Utf16, "{utf16:?}");
        }
        assert_eq!(parse("{\"access_token\": \"opaque\"}"), "no account id in it or in its tokens");
    }

    #[test]
    fn an_id_token_does_not_prolong_an_access_token() {
        let login =
            parse(&json!({"access_token": "opaque", "id_token": token_of("acct-A", 1), "account_id": "a"}));
        assert_eq!(login.unwrap().expiry, None);
    }

    #[test]
    fn a_refresh_keeps_every_field_that_is_not_a_token() {
        let master = json!({
            "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "later": [1],
            "tokens": {"id_token": "it-1", "access_token": token_of("acct-A", 1), "refresh_token": "rt-1",
                "login_owner_id": "o", "account_id": "acct-A"},
            "last_refresh": "2026-11-23T12:35:27.198020374Z"
        });
        let (access, refresh) = (Secret::new(&token_of("acct-A", 1_795_439_575)), Some(Secret::new("rt-2")));
        let login = Login::from_tokens(access.clone(), refresh, None, None).unwrap();
        let merged: Value = serde_json::from_slice(
            &login.merged_into(master.to_string().as_bytes(), Timestamp::from_seconds(7)),
        )
        .unwrap();
        let mut expected = master;
        expected["tokens"]["access_token"] = access.expose().into();
        expected["tokens"]["refresh_token"] = "rt-2".into();
        expected["last_refresh"] = "1970-01-01T00:00:07.000Z".into();
        assert_eq!(merged, expected, "the old id token stays when there is no new one");
    }

    #[test]
    fn a_refresh_keeps_what_it_does_not_know_byte_for_byte_and_in_its_place() {
        let master = r#"{
  "z": 123456789012345678901234567890, "tokens": {"x-first": 0.10000000000000000000001,
    "access_token": "old", "refresh_token": "rt-1", "refresh_token": "rt-2", "last": {"b":1, "a" : -0.0e+5}},
  "a": "\u00e9é\/", "auth_mode": "chatgpt", "last_refresh": null, "auth_mode": "ChatGPT"
}"#;
        let login =
            Login::from_tokens(Secret::new("new"), Some(Secret::new("rt-3")), None, Some("a")).unwrap();
        let merged = login.merged_into(master.as_bytes(), Timestamp::from_seconds(7));
        let expected = r#"{
  "z": 123456789012345678901234567890,
  "tokens": {
    "x-first": 0.10000000000000000000001,
    "access_token": "new",
    "refresh_token": "rt-3",
    "last": {"b":1, "a" : -0.0e+5},
    "account_id": "a"
  },
  "a": "\u00e9é\/",
  "auth_mode": "ChatGPT",
  "last_refresh": "1970-01-01T00:00:07.000Z"
}
"#;
        assert_eq!(String::from_utf8(merged.clone()).unwrap(), expected);
        assert_eq!(login.merged_into(&merged, Timestamp::from_seconds(7)), merged, "nothing moves");
    }

    #[test]
    fn a_refresh_of_what_is_nested_deeply_or_is_no_object_ends_in_a_login() {
        let login = Login::from_tokens(Secret::new("at"), Some(Secret::new("rt")), None, Some("a")).unwrap();
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let master = format!(r#"{{"tokens": {{"x": {deep}}}, "y": {deep}}}"#);
        let merged =
            String::from_utf8(login.merged_into(master.as_bytes(), Timestamp::from_seconds(7))).unwrap();
        assert_eq!(merged.matches(&deep).count(), 2);
        for master in ["", "null", "[1]", "\"x\"", "{\"half\": ", "{} {}", &deep] {
            let merged = login.merged_into(master.as_bytes(), Timestamp::from_seconds(7));
            assert_eq!(Login::parse(&merged).unwrap().refresh_token, login.refresh_token, "{master:.20}");
            assert!(
                merged.starts_with(b"{\n  \"auth_mode\": \"chatgpt\",\n  \"tokens\": {\n"),
                "{master:.20}"
            );
        }
    }

    #[test]
    fn a_refresh_keeps_the_flat_shape_flat() {
        let login =
            Login::from_tokens(Secret::new(&token_of("acct-A", 1_795_439_575)), None, None, None).unwrap();
        let merged = login.merged_into(
            br#"{"access_token": "x", "account_id": "a", "expires_at": 1}"#,
            Timestamp::from_seconds(7),
        );
        let again = Login::parse(&merged).unwrap();
        assert_eq!(again.access_token, login.access_token);
        assert!(String::from_utf8(merged).unwrap().contains("\"expires_at\": 1795439575"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Login::parse(&bytes);
        }
    }
}
