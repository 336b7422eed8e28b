//! The signal by which LiteLLM's callback, an operator or a login asks the rotator for a pass.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::limits::Limits;
use crate::readings::Reading;
use crate::state::ReportedPlan;
use crate::text::printable;
use crate::usage::Usage;
use crate::{AccountId, Timestamp};

/// The `type` of the signal that a login leaves.
const SIGNED_IN: &str = "signed_in";

/// The `type` of the signal that an operator's change of an account leaves.
const CHANGED: &str = "accounts_changed";

/// The `type` of the signal that says how much an account has used.
const USAGE_READ: &str = "usage";

/// The `scope` of a refusal that is about one model.
const MODEL_SCOPE: &str = "model";

/// The `type` of an error that says a usage window is used up.
const USAGE_LIMIT: &str = "usage_limit_reached";

/// What a signal file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Another account is wanted, whichever is active: an empty file, or one that names no account.
    RotateNow {
        at: Timestamp,
        /// What happened to the account that was active then, if it says so: the predecessor's callback.
        refusal: Option<Refusal>,
    },
    /// The provider refused an account.
    Refused {
        at: Timestamp,
        /// As the callback names it; without a user if its token named none.
        account: AccountId,
        refusal: Refusal,
    },
    /// The provider served an account that it had refused.
    Served {
        account: AccountId,
        /// The model that it served.
        model: Option<String>,
    },
    /// How much an account has used, when that has reached the threshold at which the pool moves on.
    UsageRead(Reading),
    /// An account was signed in, or an operator changed what is known of one: a pass is wanted, and another account only
    /// if the active one can no longer serve.
    AccountsChanged,
    /// Not JSON: treated as [`Signal::RotateNow`] and reported.
    Unreadable { at: Timestamp },
}

/// How the provider refused an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Whether it says that the limit of a usage window has been reached.
    pub usage_limit: bool,
    /// When that window resets, according to the body.
    pub resets_at: Option<Timestamp>,
    /// When the last of the used-up windows resets, according to the headers.
    pub window_resets_at: Option<Timestamp>,
    /// When the next window resets, used up or not.
    pub next_reset: Option<Timestamp>,
    /// According to the headers.
    pub usage: Option<Usage>,
    /// According to the body, else a header.
    pub plan: Option<ReportedPlan>,
    /// The fingerprint of the access token that was refused.
    pub token: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Whether it is this model alone that is refused for this account.
    pub is_of_model: bool,
    /// According to the headers: of families of models.
    pub families: BTreeMap<String, Usage>,
}

impl Signal {
    /// Reads a signal from a file's bytes. `left_at`, when the file was written, counts where the signal names no time.
    #[must_use]
    pub fn parse(bytes: &[u8], left_at: Timestamp) -> Self {
        if bytes.trim_ascii().is_empty() {
            return Self::RotateNow { at: left_at, refusal: None };
        }
        let Ok(document @ Value::Object(_)) = serde_json::from_slice::<Value>(bytes) else {
            return Self::Unreadable { at: left_at };
        };
        if document["type"] == SIGNED_IN || document["type"] == CHANGED {
            return Self::AccountsChanged;
        }
        let named =
            Timestamp::from_json(&document["at"]).or_else(|| Timestamp::from_json(&document["timestamp"]));
        // A clock ahead of ours must not make a signal younger than everything that comes after it.
        let at = named.map_or(left_at, |named| named.min(left_at));
        let text = |key: &str| document[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        match text("account_id").map(|account_id| AccountId { account_id, user_id: text("user_id") }) {
            Some(_) if document["type"] == USAGE_READ => {
                Reading::of(&document, left_at).map_or(Self::AccountsChanged, Self::UsageRead)
            }
            Some(account) if document["status"] == 200 => {
                Self::Served { account, model: document["model"].as_str().map(printable) }
            }
            Some(account) => Self::Refused { at, account, refusal: Refusal::of_callback(&document, at) },
            None => Self::RotateNow { at, refusal: Refusal::of_predecessor(&document) },
        }
    }

    /// The reading of an account's usage that it is.
    #[must_use]
    pub fn reading(&self) -> Option<&Reading> {
        if let Self::UsageRead(reading) = self { Some(reading) } else { None }
    }

    /// Whether it asks for another account to be published. What other signals say takes effect once it is in the state.
    #[must_use]
    pub fn asks_to_move_on(&self) -> bool {
        matches!(self, Self::RotateNow { .. } | Self::Unreadable { .. })
    }

    /// The bytes of the signal that a login leaves.
    #[must_use]
    pub fn signed_in(account: &AccountId, now: Timestamp) -> Vec<u8> {
        let signal = json!({"at": now.seconds(), "type": SIGNED_IN, "account_id": account.account_id});
        signal.to_string().into_bytes()
    }

    /// The bytes of the signal that an operator's change leaves.
    #[must_use]
    pub fn accounts_changed(now: Timestamp) -> Vec<u8> {
        json!({"at": now.seconds(), "type": CHANGED}).to_string().into_bytes()
    }
}

/// A span of time as any provider's JSON writes it; none, if it is no number or not in the future.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    let seconds = Duration::try_from_secs_f64(number).ok()?;
    (!seconds.is_zero()).then_some(seconds)
}

impl Refusal {
    fn of_callback(document: &Value, at: Timestamp) -> Self {
        let relative = seconds(&document["resets_in_seconds"]).map(|seconds| at.plus(seconds));
        let limits = Limits::of_headers(&document["headers"], at);
        let header = |name: String| {
            let value = document["headers"].get(name)?;
            value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
        };
        let reset = |window: &str| {
            Timestamp::from_json(&json!(header(format!("x-codex-{window}-reset-at"))?))
                .filter(|reset| *reset > at)
        };
        // Not rounded: a window at 99.6 % is not used up.
        let is_used_up =
            |window: &str| header(format!("x-codex-{window}-used-percent")).is_some_and(|used| used >= 100.0);
        let windows = ["primary", "secondary"];
        Self {
            status: document["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(429),
            usage_limit: document["type"] == USAGE_LIMIT || document["code"] == USAGE_LIMIT,
            resets_at: Timestamp::from_json(&document["resets_at"]).or(relative),
            window_resets_at: windows.into_iter().filter(|window| is_used_up(window)).filter_map(reset).max(),
            next_reset: windows.into_iter().filter_map(reset).min(),
            usage: limits.own,
            plan: [&document["plan_type"], &document["headers"]["x-codex-plan-type"]]
                .into_iter()
                .find_map(|plan| ReportedPlan::new(plan.as_str()?, at)),
            token: document["token"].as_str().map(str::to_owned),
            model: document["model"].as_str().map(printable),
            is_of_model: document["scope"] == MODEL_SCOPE,
            families: limits.families,
        }
    }

    /// The predecessor's callback leaves the exception's text, which holds the provider's answer.
    fn of_predecessor(document: &Value) -> Option<Self> {
        let text = document["exception"].as_str()?;
        let after =
            text.split("resets_at").nth(1).unwrap_or_default().trim_start_matches(['"', '\'', ':', ' ']);
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let resets_at = Timestamp::from_json(&Value::String(digits));
        let status = if text.contains("401") || text.contains("token_invalidated") { 401 } else { 429 };
        Some(Self { status, usage_limit: text.contains(USAGE_LIMIT), resets_at, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::{Minutes, Percent, Window};

    const LEFT: i64 = 1_795_439_600;

    fn parse(text: &str) -> Signal {
        Signal::parse(text.as_bytes(), Timestamp::from_seconds(LEFT))
    }

    fn refusal(text: &str) -> Refusal {
        match parse(text) {
            Signal::Refused { refusal, .. } | Signal::RotateNow { refusal: Some(refusal), .. } => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn understands_our_callback() {
        let text = r#"{"at": 1795439506.2, "status": 429, "account_id": "acct-A", "user_id": "user-A",
            "type": "usage_limit_reached", "code": null, "resets_at": 1795439575, "resets_in_seconds": 69,
            "token": "0011223344556677", "model": "gpt-5.6-sol",
            "headers": {"x-codex-plan-type": "pro", "x-codex-primary-used-percent": "100.0", "x-codex-primary-reset-at": "1795439580",
            "x-codex-primary-window-minutes": "10080",
            "x-codex-secondary-used-percent": "99.6", "x-codex-secondary-reset-at": "1795999999"}}"#;
        let Signal::Refused { at, account, refusal } = parse(text) else { panic!("not understood") };
        assert_eq!(at.milliseconds(), 1_795_439_506_200);
        assert_eq!(account.to_string(), "acct-A/user-A");
        let expected = Refusal {
            model: Some("gpt-5.6-sol".to_owned()),
            is_of_model: false,
            families: BTreeMap::new(),
            status: 429,
            usage_limit: true,
            resets_at: Some(Timestamp::from_seconds(1_795_439_575)),
            window_resets_at: Some(Timestamp::from_seconds(1_795_439_580)),
            next_reset: Some(Timestamp::from_seconds(1_795_439_580)),
            usage: Usage::reported(
                at,
                [Window {
                    minutes: Minutes::WEEK,
                    used_percent: Percent::new(100.0).unwrap(),
                    resets_at: Some(Timestamp::from_seconds(1_795_439_580)),
                }],
            ),
            plan: ReportedPlan::new("pro", at),
            token: Some("0011223344556677".to_owned()),
        };
        assert_eq!(refusal, expected);
    }

    #[test]
    fn a_plan_is_taken_from_the_body_before_a_header() {
        for (text, plan) in [
            (r#"{"account_id": "a", "headers": {"x-codex-plan-type": "team"}}"#, Some("team")),
            (
                r#"{"account_id": "a", "plan_type": "pro", "headers": {"x-codex-plan-type": "plus"}}"#,
                Some("pro"),
            ),
            (
                r#"{"account_id": "a", "plan_type": 7, "headers": {"x-codex-plan-type": "plus"}}"#,
                Some("plus"),
            ),
            (r#"{"account_id": "a", "plan_type": " ", "headers": "x"}"#, None),
        ] {
            assert_eq!(refusal(text).plan.as_ref().map(ReportedPlan::name), plan, "{text}");
        }
    }

    #[test]
    fn counts_a_reset_in_seconds_from_when_it_was_said() {
        let text = r#"{"at": 1795439500, "status": 429, "account_id": "a", "resets_in_seconds": 60}"#;
        assert_eq!(refusal(text).resets_at, Some(Timestamp::from_seconds(1_795_439_560)));
    }

    #[test]
    fn understands_touch_and_the_predecessor() {
        let left = Timestamp::from_seconds(LEFT);
        assert_eq!(parse(" \n"), Signal::RotateNow { at: left, refusal: None });
        let text = r#"{"timestamp": 1795439500, "model": "m",
            "exception": "RateLimitError: {\"type\": \"usage_limit_reached\", \"resets_at\": 1795439575}"}"#;
        let found = refusal(text);
        assert!(found.usage_limit && found.status == 429);
        assert_eq!(found.resets_at, Some(Timestamp::from_seconds(1_795_439_575)));
    }

    #[test]
    fn a_login_a_success_and_nonsense_are_distinguished() {
        let account = AccountId { account_id: "acct-A".into(), user_id: None };
        let left = Timestamp::from_seconds(LEFT);
        assert_eq!(Signal::parse(&Signal::signed_in(&account, left), left), Signal::AccountsChanged);
        assert_eq!(Signal::parse(&Signal::accounts_changed(left), left), Signal::AccountsChanged);
        let model = Some("gpt-5.6-sol".to_owned());
        let text = r#"{"status": 200, "account_id": "acct-A", "model": "gpt-5.6-sol"}"#;
        assert_eq!(parse(text), Signal::Served { account, model });
        for text in ["{half", "7", "[]"] {
            assert_eq!(parse(text), Signal::Unreadable { at: left }, "{text}");
        }
    }

    #[test]
    fn a_clock_ahead_of_ours_makes_no_signal_from_the_future() {
        let Signal::Refused { at, .. } = parse(r#"{"at": 9999999999, "account_id": "a"}"#) else { panic!() };
        assert_eq!(at.seconds(), LEFT);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Signal::parse(&bytes, Timestamp::from_seconds(LEFT));
        }
    }
}
