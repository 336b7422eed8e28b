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
    let login =
        |claims: Value| parse(&json!({"access_token": jwt(&claims), "account_id": "team"})).unwrap().account;
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
    let merged: Value =
        serde_json::from_slice(&login.merged_into(master.to_string().as_bytes(), Timestamp::from_seconds(7)))
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
    let login = Login::from_tokens(Secret::new("new"), Some(Secret::new("rt-3")), None, Some("a")).unwrap();
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
    let merged = String::from_utf8(login.merged_into(master.as_bytes(), Timestamp::from_seconds(7))).unwrap();
    assert_eq!(merged.matches(&deep).count(), 2);
    for master in ["", "null", "[1]", "\"x\"", "{\"half\": ", "{} {}", &deep] {
        let merged = login.merged_into(master.as_bytes(), Timestamp::from_seconds(7));
        assert_eq!(Login::parse(&merged).unwrap().refresh_token, login.refresh_token, "{master:.20}");
        assert!(merged.starts_with(b"{\n  \"auth_mode\": \"chatgpt\",\n  \"tokens\": {\n"), "{master:.20}");
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
