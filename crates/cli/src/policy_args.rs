//! The flags that say how the rotator judges, the same in every command that runs it or shows what it would do.

use std::time::Duration;

use clap::{Args, ValueEnum};
use judgement::policy::{Floors, Order, PassOptions};
use records::Slot;

use crate::duration::{Span, duration};

/// How the rotator judges.
#[derive(Clone, Debug, Args)]
pub struct PolicyArgs {
    /// Which account is next
    #[arg(long, global = true, value_enum, value_name = "POLICY", env = "CODEX_ROTATION_POLICY", default_value_t = OrderArg::RoundRobin)]
    policy: OrderArg,

    /// Refresh a login this long before its access token ends
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
enum OrderArg {
    /// Each tick moves on to the next usable account
    RoundRobin,
    /// The account in use stays until it is refused
    Sticky,
    /// The same, and then the account whose usage window resets first, as far as signals told
    EarliestReset,
}

impl PolicyArgs {
    /// The options of a pass by these rules, to the order's own next account or to the slot that is named.
    #[must_use]
    pub fn options(&self, to: Option<Slot>) -> PassOptions {
        PassOptions {
            order: match self.policy {
                OrderArg::RoundRobin => Order::RoundRobin,
                OrderArg::Sticky => Order::Sticky,
                OrderArg::EarliestReset => Order::EarliestReset,
            },
            to,
            offline: false,
            only: None,
            floors: Floors {
                cap: self.cap_cooldown.unwrap_or(Duration::from_hours(3)),
                transient: self.transient_cooldown.unwrap_or(Duration::from_mins(5)),
            },
            refresh_before: self.refresh_before(),
        }
    }

    /// How long before its end a login is refreshed.
    #[must_use]
    pub fn refresh_before(&self) -> Duration {
        self.refresh_before.unwrap_or(Duration::from_hours(24))
    }
}
