//! The flags that say how the rotator judges, the same in every command that runs it or shows what it would do.

use std::time::Duration;

use clap::{Args, ValueEnum};
use judgement::policy::{Floors, Order, PassOptions};
use judgement::quota::{Quota, Reserves};
use records::Slot;
use records::usage::Percent;

use crate::duration::{OptionalDuration, duration};
use crate::lanes_args::LanesArgs;
use crate::percent::{OptionalPercent, percent, reserves};

/// The flags of the policy.
#[derive(Clone, Debug, Args)]
pub struct PolicyArgs {
    /// Which account is next
    #[arg(long, global = true, value_enum, value_name = "POLICY", env = "CODEX_ROTATION_POLICY", default_value_t = OrderArg::Sticky)]
    policy: OrderArg,

    #[command(flatten)]
    lanes: LanesArgs,

    /// Refresh a login this long before its access token ends
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_REFRESH_BEFORE_SEC", default_value = "1d", value_parser = duration)]
    refresh_before: OptionalDuration,

    /// How long a capped account is left alone when the provider names no time
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_CAP_COOLDOWN_SEC", default_value = "3h", value_parser = duration)]
    cap_cooldown: OptionalDuration,

    /// How long an account is left alone after a refusal that passes
    #[arg(long, global = true, value_name = "DURATION", env = "CODEX_TRANSIENT_COOLDOWN_SEC", default_value = "5m", value_parser = duration)]
    transient_cooldown: OptionalDuration,

    /// Move on once the account in use has used this much of a window, in percent; 0 or 100 waits for a refusal
    #[arg(long, global = true, value_name = "PERCENT", env = "CODEX_ROTATE_AT_PERCENT", default_value = "95", value_parser = percent)]
    rotate_at: OptionalPercent,

    /// Leave this much of each account's usage to its owner, in percent: `20`, or by slot, `20,1=50,3=0`
    #[arg(long, global = true, value_name = "PERCENT", env = "CODEX_RESERVE_PERCENT", default_value = "0", value_parser = reserves)]
    reserve: Reserves,
}

/// Which account is next when none is named or pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OrderArg {
    /// The account in use stays until it is refused or near its cap; then the next
    Sticky,
    /// Each tick moves on to the next usable account; with several lanes as sticky
    RoundRobin,
    /// As sticky, and then the account whose usage window resets first
    EarliestReset,
    /// As sticky, and then the account that has used the smallest part of its windows
    LeastUsed,
    /// As sticky, and then the account that has most left, by what its plan holds
    Weighted,
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
                OrderArg::LeastUsed => Order::LeastUsed,
                OrderArg::Weighted => Order::Weighted,
            },
            lanes: self.lanes.count(),
            to,
            offline: false,
            only: None,
            floors: Floors {
                cap: self.cap_cooldown.unwrap_or(Duration::from_hours(3)),
                transient: self.transient_cooldown.unwrap_or(Duration::from_mins(5)),
            },
            refresh_before: self.refresh_before(),
            quota: self.quota(),
        }
    }

    /// From which usage on the pool moves on, and what is left to owners.
    #[must_use]
    pub fn quota(&self) -> Quota {
        let is_threshold = |percent: &Percent| (0.1..100.0).contains(&percent.percent());
        Quota {
            rotate_at: self.rotate_at.or(Percent::new(95.0)).filter(is_threshold),
            reserves: self.reserve.clone(),
        }
    }

    /// How long before its end a login is refreshed.
    #[must_use]
    pub fn refresh_before(&self) -> Duration {
        self.refresh_before.unwrap_or(Duration::from_hours(24))
    }
}
