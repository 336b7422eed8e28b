//! How an operator has configured the rotator, and what one pass is for.

use std::time::Duration;

use records::{LaneCount, Slot};

use crate::quota::Quota;

/// Which account is next when none is named or pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each tick moves on to the next usable account; with several lanes no tick moves anything, as sticky.
    RoundRobin,
    /// The account in use stays until it is refused.
    Sticky,
    /// As sticky, and then the account whose usage window resets first, as far as is known.
    EarliestReset,
    /// As sticky, and then the account that has used the smallest part of its windows.
    LeastUsed,
    /// As sticky, and then the account that has most left, by what its plan holds.
    Weighted,
}

/// How long an account is left alone when the provider names no time.
#[derive(Clone, Copy, Debug)]
pub struct Floors {
    /// For one that is capped.
    pub cap: Duration,
    /// For one that was refused for a reason that passes.
    pub transient: Duration,
}

/// What a pass is to do.
#[derive(Clone, Debug)]
pub struct PassOptions {
    pub order: Order,
    /// How many accounts serve at once.
    pub lanes: LaneCount,
    /// The slot to use, or `None` for the one that the order gives.
    pub to: Option<Slot>,
    /// Only choose and publish, with the logins as they are: nothing is refreshed, and signals are left for the rotator.
    pub offline: bool,
    /// Refresh no other slot than this.
    pub only: Option<Slot>,
    pub floors: Floors,
    /// How long before its end a login is refreshed.
    pub refresh_before: Duration,
    pub quota: Quota,
}

/// The rules by which an account is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub order: Order,
    pub lanes: LaneCount,
    pub purpose: Purpose,
}

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// There is no signal: it may be time to move on, if the order says so.
    Tick,
    /// Something has changed, and another account serves only if the one in use cannot.
    Stay,
    /// A signal asks for another account.
    MoveOn,
    /// An operator names the slot.
    To(Slot),
}
