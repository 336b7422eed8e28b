//! Whatever a file holds, its parser neither panics nor shows any of it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;
use records::published::{self, PublishedRecord};
use records::signal::Signal;
use records::state::{Parsed, State};
use records::{Login, Timestamp};
use serde_json::{Map, Value, json};

/// A part of every token of these tests, by which a leak is found.
const MARK: &str = "sEcReT";

/// The keys that one parser or another looks for.
const KEYS: &[&str] = &[
    "tokens",
    "access_token",
    "refresh_token",
    "id_token",
    "account_id",
    "user_id",
    "expires_at",
    "last_refresh",
    "auth_mode",
    "version",
    "active",
    "accounts",
    "slot",
    "since",
    "cooldown",
    "until",
    "kind",
    "source",
    "parked",
    "needs_login",
    "grant",
    "code",
    "pin",
    "last_label",
    "last_index",
    "cooldowns",
    "account-1",
    "at",
    "status",
    "type",
    "resets_at",
    "resets_in_seconds",
    "headers",
    "x-codex-primary-used-percent",
    "x-codex-primary-reset-at",
    "x-codex-primary-window-minutes",
    "usage",
    "windows",
    "minutes",
    "used_percent",
    "iat",
    "exception",
    "timestamp",
    "exp",
    "https://api.openai.com/auth",
    "chatgpt_account_id",
    "chatgpt_user_id",
    "unanswered",
    "refresh_failed",
    "next_reset",
    "refreshed_after_401",
    "plan",
    "plan_type",
    "reason",
    "counters",
    "refreshes",
    "rotations",
    "handled_signals",
    "token",
];

fn jwt(claims: &Value) -> Value {
    json!(format!("e30.{}.{MARK}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())))
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Eighths and powers of ten only: the last digit of other floats is not read back exactly by serde_json.
        (-1e9..1e9_f64).prop_map(|number| json!((number * 8.0).round() / 8.0)),
        proptest::sample::select(&[1e300, -1e300, 1e-7, 1e15][..]).prop_map(Value::from),
        (1_700_000_000..2_000_000_000_i64).prop_map(Value::from),
        Just(json!("2026-11-23T12:35:27.198020374Z")),
        Just(json!("usage_limit_reached")),
        Just(json!("acct-A")),
        Just(json!(1)),
        ".{0,12}".prop_map(Value::from),
        ".{0,6}".prop_map(|text| json!(format!("{MARK}{text}"))),
        (any::<i64>(), ".{0,6}").prop_map(|(exp, id)| {
            jwt(&json!({"exp": exp, "https://api.openai.com/auth": {"chatgpt_account_id": id}}))
        }),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(KEYS), inner), 0..8).prop_map(|members| {
                let members = members.into_iter().map(|(key, value)| (key.to_owned(), value));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// The bytes of a document, whole or cut somewhere.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    (any_json(), proptest::option::of(any::<proptest::sample::Index>())).prop_map(|(json, cut)| {
        let mut bytes = json.to_string().into_bytes();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #[test]
    fn a_login_is_read_or_refused_without_showing_any_of_it(bytes in any_bytes(), seconds in 0..2_000_000_000_i64) {
        match Login::parse(&bytes) {
            Err(why) => prop_assert!(!why.to_string().contains(MARK)),
            Ok(login) => {
                let shown = format!("{:?} {:?}", login.access_token, login.refresh_token);
                prop_assert!(!shown.contains(MARK));
                let refreshed = login.merged_into(&bytes, Timestamp::from_seconds(seconds));
                let again = Login::parse(&refreshed).unwrap();
                prop_assert_eq!(&again.access_token, &login.access_token);
                prop_assert_eq!(&again.account.account_id, &login.account.account_id);
                prop_assert_eq!(&again.refresh_token, &login.refresh_token);
            }
        }
    }

    #[test]
    fn what_is_published_of_a_login_is_well_formed_and_has_no_refresh_token(bytes in any_bytes()) {
        if let Ok(login) = Login::parse(&bytes) {
            let record = published::record(&login);
            prop_assert!(PublishedRecord::judge(&record).is_well_formed());
            let record: Value = serde_json::from_slice(&record).unwrap();
            prop_assert!(record.get("refresh_token").is_none());
        }
    }

    #[test]
    fn what_stands_in_auth_json_is_judged(bytes in any_bytes()) {
        if let PublishedRecord::Account(_) | PublishedRecord::Placeholder = PublishedRecord::judge(&bytes) {
            let record: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert!(record["expires_at"].is_i64() && record["account_id"].is_string());
            prop_assert!(record["refresh_token"].as_str().unwrap_or_default().trim().is_empty());
        }
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written(bytes in any_bytes()) {
        if let Ok(Parsed::Ours(state)) = State::parse(&bytes) {
            prop_assert_eq!(State::parse(&state.to_bytes()).unwrap(), Parsed::Ours(state));
        }
    }

    #[test]
    fn a_signal_is_never_from_the_future(bytes in any_bytes(), left in 0..2_000_000_000_i64) {
        let left = Timestamp::from_seconds(left);
        match Signal::parse(&bytes, left) {
            Signal::RotateNow { at, .. } | Signal::Refused { at, .. } | Signal::Unreadable { at } => {
                prop_assert!(at <= left);
            }
            Signal::UsageRead(reading) => prop_assert!(reading.at <= left),
            Signal::AccountsChanged | Signal::Served { .. } => {}
        }
    }
}
