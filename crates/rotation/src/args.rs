//! The flags that say how the rotator judges, the same in every command that runs it or shows what it would do.

use std::time::Duration;

use auth_volume::Slot;
use auth_volume::atomic::Access;
use clap::{Args, ValueEnum};

use crate::cooldown::Floors;
use crate::pass::Wish;

/// How the rotator judges.
#[derive(Clone, Debug, Args)]
pub struct PolicyArgs {
    /// Which account is next
    #[arg(long, global = true, value_enum, value_name = "POLICY", env = "CODEX_ROTATION_POLICY", default_value_t = Order::RoundRobin)]
    policy: Order,

    /// Renew a login this long before its access token ends
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_REFRESH_BEFORE_SEC", default_value = "1d", value_parser = duration)]
    refresh_before: Span,

    /// How long an account that is capped is left alone when nobody says until when
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_CAP_COOLDOWN_SEC", default_value = "3h", value_parser = duration)]
    cap_cooldown: Span,

    /// The same for a refusal that passes
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_TRANSIENT_COOLDOWN_SEC", default_value = "5m", value_parser = duration)]
    transient_cooldown: Span,
}

/// Which account is next when nothing says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Each tick moves on to the next usable account
    RoundRobin,
    /// The account in use stays until it is refused
    Sticky,
    /// The same, and then the account whose usage window resets first, as far as signals told
    EarliestReset,
}

impl PolicyArgs {
    /// A pass by these rules, to the order's own next account or to the slot that is named.
    #[must_use]
    pub fn wish(&self, to: Option<Slot>, access: Access) -> Wish {
        Wish {
            order: self.policy,
            to,
            offline: false,
            only: None,
            floors: Floors {
                cap: self.cap_cooldown.unwrap_or(Duration::from_hours(3)),
                transient: self.transient_cooldown.unwrap_or(Duration::from_mins(5)),
            },
            renew_before: self.refresh_before.unwrap_or(Duration::from_hours(24)),
            access,
        }
    }
}

/// A duration, or the default where a variable is set to nothing, as charts do.
pub type Span = Option<Duration>;

/// Longer is a slip of the keyboard, and no clock could add it up. `idle` has the same bound.
const LONGEST: Duration = Duration::from_hours(10 * 8766);

/// Plain seconds, as the predecessor's variables hold, or with units; at most ten years.
///
/// # Errors
/// It is neither, or longer.
pub fn duration(text: &str) -> Result<Span, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse().map(Duration::from_secs).ok();
    let duration = seconds.or_else(|| humantime::parse_duration(text).ok());
    match duration {
        Some(duration) if duration <= LONGEST => Ok(Some(duration)),
        Some(_) => Err("want at most 10 years, as 30m, 1h30m, 90s or plain seconds".to_owned()),
        None => Err("want 30m, 1h30m, 90s or plain seconds".to_owned()),
    }
}

/// As [`duration`], where nothing is no answer.
///
/// # Errors
/// It is no duration, longer than ten years, or nothing at all.
pub fn lapse(text: &str) -> Result<Duration, String> {
    let lapse = duration(text)?.filter(|lapse| !lapse.is_zero());
    lapse.ok_or_else(|| "want more than nothing, as 30m, 1h30m, 90s or plain seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_plain_seconds_or_has_units_and_nothing_is_the_default() {
        assert_eq!(duration("1800"), duration("30m"));
        assert_eq!(duration("\n"), Ok(None));
        for text in ["soon", "-1", "1.5", "1e400", "18446744073709551616"] {
            assert_eq!(duration(text), Err("want 30m, 1h30m, 90s or plain seconds".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_duration_is_at_most_ten_years() {
        assert_eq!(duration("10y"), Ok(Some(LONGEST)));
        for text in ["315576001", "11y", "99999999999999999 s", "18446744073709551615"] {
            let told = duration(text).unwrap_err();
            assert_eq!(told, "want at most 10 years, as 30m, 1h30m, 90s or plain seconds", "{text}");
        }
    }

    #[test]
    fn a_lapse_is_more_than_nothing() {
        assert_eq!(lapse("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", " ", "0", "0s"] {
            assert!(lapse(text).unwrap_err().starts_with("want more than nothing"), "{text}");
        }
        assert!(lapse("11y").unwrap_err().starts_with("want at most 10 years"));
    }
}
