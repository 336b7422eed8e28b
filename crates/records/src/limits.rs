//! Limits as the provider's headers report them: the account's own, and those of families of models.
//!
//! `x-codex-primary-used-percent` is of the account, `x-codex-bengalfox-primary-used-percent` of the family `bengalfox`. On
//! an answer of such a family the plain headers describe the family, and `x-codex-active-limit` names it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Timestamp;
use crate::text::printable;
use crate::usage::{Minutes, Percent, Usage, Window};

/// What every header of a limit begins with.
const PREFIX: &str = "x-codex-";

/// The name of the account's own limit, where headers name it.
const OWN: &str = "codex";

/// How many families are kept of an account; no plan has as many.
pub const MOST_FAMILIES: usize = 8;

/// The longest name of a family, in characters.
const LONGEST_NAME: usize = 48;

/// The usage that headers report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of the account.
    pub own: Option<Usage>,
    /// Of families of models.
    pub families: BTreeMap<String, Usage>,
    /// The family that the answer was of, if it was of one.
    pub active: Option<String>,
}

impl Limits {
    /// Reads them from an object of headers, as numbers or text. What is no number is no header.
    #[must_use]
    pub fn of_headers(headers: &Value, at: Timestamp) -> Self {
        let ids = ids(headers);
        // A name without headers of its own, such as `premium`, is the plan's: the plain headers are the account's.
        let active = headers[format!("{PREFIX}active-limit")].as_str().and_then(family);
        let active = active.filter(|active| ids.iter().flatten().any(|id| id == active));
        let mut limits = Self { active: active.clone(), ..Self::default() };
        for id in ids {
            let prefix = id.as_ref().map_or_else(|| PREFIX.to_owned(), |id| format!("{PREFIX}{id}-"));
            let windows = ["primary", "secondary"].into_iter();
            let windows = windows.filter_map(|window| read(headers, &format!("{prefix}{window}"), at));
            let Some(usage) = Usage::reported(at, windows) else { continue };
            match id.or_else(|| active.clone()) {
                None => limits.own = Some(usage),
                Some(family) => {
                    limits.families.entry(family).or_insert(usage);
                }
            }
        }
        limits
    }
}

/// The limits that headers are of: `None` is the one without a name.
fn ids(headers: &Value) -> Vec<Option<String>> {
    let names = headers.as_object().into_iter().flat_map(|headers| headers.keys());
    let ids = names.filter_map(|name| {
        let id = name.strip_prefix(PREFIX)?.strip_suffix("-used-percent")?;
        let id = id.strip_suffix("primary").or_else(|| id.strip_suffix("secondary"))?;
        Some(if id.is_empty() { None } else { family(id.strip_suffix('-')?) })
    });
    // The family's own headers before the plain ones, which may be those of the account.
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.dedup();
    ids.truncate(MOST_FAMILIES);
    ids
}

/// The name of a family; none, if it is the account's own limit.
#[must_use]
pub fn family(name: &str) -> Option<String> {
    let name = printable(name).trim().to_lowercase().replace('_', "-");
    let name = name.strip_prefix("codex-").unwrap_or(&name).to_owned();
    (!name.is_empty() && name != OWN && name.chars().count() <= LONGEST_NAME).then_some(name)
}

/// One window; none, if it has no length, or is all zeros and never resets.
fn read(headers: &Value, prefix: &str, at: Timestamp) -> Option<Window> {
    let number = |field: &str| {
        let value = headers.get(format!("{prefix}-{field}"))?;
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        number.is_finite().then_some(number)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a nonsense length is 0 or the longest"
    )]
    let minutes = Minutes::new(number("window-minutes")? as u32)?;
    let used_percent = Percent::new(number("used-percent")?)?;
    let resets_at =
        number("reset-at").and_then(|reset| Timestamp::from_json(&json!(reset))).filter(|reset| *reset > at);
    Some(Window { minutes, used_percent, resets_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_439_575;

    fn limits(headers: &Value) -> Limits {
        Limits::of_headers(headers, Timestamp::from_seconds(NOW))
    }

    fn shown(usage: &Usage) -> String {
        let windows =
            usage.windows.iter().map(|window| format!("{} {}", window.minutes, window.used_percent));
        windows.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn plain_headers_are_the_accounts_and_windows_are_known_by_their_length() {
        let limits = limits(&json!({
            "x-codex-primary-used-percent": "42.0",
            "x-codex-primary-window-minutes": "10080",
            "x-codex-secondary-used-percent": 7,
            "x-codex-secondary-window-minutes": 300,
            "x-codex-secondary-reset-at": NOW + 60,
        }));
        let own = limits.own.unwrap();
        assert_eq!(shown(&own), "5h 7%, 7d 42%");
        assert_eq!(own.windows[0].resets_at, Some(Timestamp::from_seconds(NOW + 60)));
        assert_eq!((limits.families.len(), limits.active), (0, None));
    }

    #[test]
    fn a_family_has_limits_of_its_own() {
        let both = json!({
            "x-codex-primary-used-percent": "42",
            "x-codex-primary-window-minutes": "300",
            "x-codex-bengalfox-primary-used-percent": "100",
            "x-codex-bengalfox-primary-window-minutes": "300",
            "x-codex-bengalfox-limit-name": "GPT-Spark",
        });
        let told = limits(&both);
        assert_eq!(shown(&told.own.unwrap()), "5h 42%");
        assert_eq!(shown(&told.families["bengalfox"]), "5h 100%");
        let mut of_the_family = both.clone();
        of_the_family["x-codex-active-limit"] = json!("codex_bengalfox");
        let told = limits(&of_the_family);
        assert_eq!(told.own, None, "the plain headers describe the family");
        assert_eq!(shown(&told.families["bengalfox"]), "5h 100%");
        assert_eq!(told.active.as_deref(), Some("bengalfox"));
    }

    #[test]
    fn what_is_no_number_is_no_reading() {
        for nonsense in [json!("NaN"), json!("inf"), json!("soon"), json!(null), json!([1]), json!(-1)] {
            let told = limits(&json!({
                "x-codex-primary-used-percent": nonsense,
                "x-codex-primary-window-minutes": "300",
            }));
            assert_eq!(told, Limits::default(), "{nonsense}");
        }
        assert_eq!(limits(&json!({"x-codex-primary-used-percent": 5})), Limits::default(), "of no length");
        assert_eq!(limits(&json!(null)), Limits::default());
    }

    #[test]
    fn the_accounts_own_limit_may_be_named_too() {
        for name in ["codex", "premium"] {
            let told = limits(&json!({
                "x-codex-active-limit": name,
                "x-codex-primary-used-percent": 5,
                "x-codex-primary-window-minutes": 300,
            }));
            assert_eq!(shown(&told.own.unwrap()), "5h 5%", "{name}");
            assert_eq!((told.families.len(), told.active), (0, None), "{name}");
        }
    }
}
