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

/// Plain seconds, as the predecessor's variables hold, or with units.
///
/// # Errors
/// It is neither.
pub fn duration(text: &str) -> Result<Span, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse().map(Duration::from_secs).ok();
    let duration = seconds.or_else(|| humantime::parse_duration(text).ok());
    duration.map(Some).ok_or_else(|| "want 30m, 1h30m, 90s or plain seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_plain_seconds_or_has_units_and_nothing_is_the_default() {
        assert_eq!(duration("1800"), duration("30m"));
        assert_eq!(duration("\n"), Ok(None));
        assert!(duration("soon").is_err());
    }
}
