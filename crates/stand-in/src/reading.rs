//! What a client can read of an account's usage: headers, and the answer of the usage endpoint.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::account::Account;
use crate::token::now;
use crate::usage::{Window, used_up_until};

/// The `x-codex-*` headers of an answer for `model`. The plain ones are those of the limit that `model` counts in,
/// which `x-codex-active-limit` names; each family has its own beside them. With `full_until` the first window is
/// shown as used up until then.
pub(crate) fn headers(account: &Account, model: &str, full_until: Option<i64>) -> HeaderMap {
    let headers = pairs(account, model, full_until).into_iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        // A name from the control API may hold anything; what no header can carry is left out.
        Some((name, HeaderValue::try_from(value).ok()?))
    });
    headers.collect()
}

/// The same as the object `headers` of an `error` event, spelt as the provider spells them there.
pub(crate) fn headers_in_event(account: &Account, model: &str, full_until: i64) -> Value {
    let spelt = |name: &str| name.split('-').map(capitalised).collect::<Vec<_>>().join("-");
    let headers = pairs(account, model, Some(full_until)).into_iter();
    headers.map(|(name, value)| (spelt(&name), json!(value))).collect::<Map<_, _>>().into()
}

/// The answer of `GET /backend-api/wham/usage`.
pub(crate) fn usage(account: &Account) -> Value {
    let limit = rate_limit(&shown(&account.usage.windows, account.capped_until()));
    let reached = limit["limit_reached"] == true;
    let families = account.usage.families.iter().map(|(id, family)| {
        let limit_name = &family.limit_name;
        json!({"limit_name": limit_name, "metered_feature": id, "rate_limit": rate_limit(&family.windows)})
    });
    json!({
        "user_id": account.user_id,
        "account_id": account.account_id,
        "email": account.email,
        "plan_type": account.plan,
        "rate_limit": limit,
        "additional_rate_limits": families.collect::<Vec<_>>(),
        "credits": {"has_credits": false, "unlimited": false, "balance": "0"},
        "rate_limit_reached_type": reached.then(|| json!({"type": "rate_limit_reached"})),
    })
}

fn pairs(account: &Account, model: &str, full_until: Option<i64>) -> Vec<(String, String)> {
    let usage = &account.usage;
    let mut pairs = window_pairs("x-codex", &shown(usage.windows(model), full_until));
    let active = usage.family(model).unwrap_or(ACCOUNT_LIMIT);
    pairs.push(("x-codex-active-limit".to_owned(), active.to_owned()));
    pairs.push(("x-codex-plan-type".to_owned(), account.plan.clone()));
    for (id, family) in &usage.families {
        let prefix = format!("x-{}", id.replace('_', "-"));
        pairs.push((format!("{prefix}-limit-name"), family.limit_name.clone()));
        let full_until = full_until.filter(|_| active == id);
        pairs.extend(window_pairs(&prefix, &shown(&family.windows, full_until)));
    }
    pairs
}

fn window_pairs(prefix: &str, windows: &[Window]) -> Vec<(String, String)> {
    let window_pairs = |(place, window): (&str, &Window)| {
        [
            ("used-percent", format!("{:.1}", used_percent(*window))),
            ("window-minutes", window.minutes.to_string()),
            ("reset-at", window.resets_at.to_string()),
            ("reset-after-seconds", (window.resets_at - now()).to_string()),
        ]
        .map(|(what, value)| (format!("{prefix}-{place}-{what}"), value))
    };
    ["primary", "secondary"].into_iter().zip(windows).flat_map(window_pairs).collect()
}

fn rate_limit(windows: &[Window]) -> Value {
    let reached = used_up_until(windows).is_some();
    let window = |window: &Window| {
        json!({
            "used_percent": used_percent(*window),
            "limit_window_seconds": window.minutes * 60,
            "reset_at": window.resets_at,
            "reset_after_seconds": window.resets_at - now(),
        })
    };
    json!({
        "allowed": !reached,
        "limit_reached": reached,
        "primary_window": windows.first().map(window),
        "secondary_window": windows.get(1).map(window),
    })
}

fn shown(windows: &[Window], full_until: Option<i64>) -> Vec<Window> {
    let mut windows = windows.to_vec();
    if let (Some(first), Some(resets_at)) = (windows.first_mut(), full_until) {
        *first = Window { used_percent: 100.0, resets_at, ..*first };
    }
    windows
}

/// To a tenth, and never 100 before it is: that would promise a refusal.
fn used_percent(window: Window) -> f64 {
    if window.is_used_up() { 100.0 } else { (window.used_percent * 10.0 + 1e-6).floor() / 10.0 }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
    first.to_uppercase() + rest
}

/// What the provider calls the limit of all models in `x-codex-active-limit`.
const ACCOUNT_LIMIT: &str = "premium";
