//! The flags that say how the rotator judges, the same in every command that runs it or shows what it would do.

use std::time::Duration;

use clap::{Args, ValueEnum};
use judgement::policy::{Floors, Order, PassOptions};
use records::Slot;

use crate::duration::{OptionalDuration, duration};

/// The flags of the policy.
#[derive(Clone, Debug, Args)]
pub struct PolicyArgs {
    /// Which account is next
    #[arg(long, global = true, value_enum, value_name = "POLICY", env = "CODEX_ROTATION_POLICY", default_value_t = OrderArg::RoundRobin)]
    policy: OrderArg,

    /// Refresh a login this long before its access token ends
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_REFRESH_BEFORE_SEC", default_value = "1d", value_parser = duration)]
    refresh_before: OptionalDuration,

    /// How long a capped account is left alone when the provider names no time
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_CAP_COOLDOWN_SEC", default_value = "3h", value_parser = duration)]
    cap_cooldown: OptionalDuration,

    /// How long an account is left alone after a refusal that passes
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_TRANSIENT_COOLDOWN_SEC", default_value = "5m", value_parser = duration)]
    transient_cooldown: OptionalDuration,
}

/// Which account is next when none is named or pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OrderArg {
    /// Each tick moves on to the next usable account
    RoundRobin,
    /// The account in use stays until it is refused
    Sticky,
    /// As sticky, and then the account whose usage window resets first, as far as signals have said
    EarliestReset,
}

impl PolicyArgs {
    /// The options of a pass with these flags, to the account that the order gives or to the slot that is named.
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
