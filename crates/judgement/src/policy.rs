//! What the operator wants of the rotator, and what one pass is for.

use std::time::Duration;

use records::Slot;

/// Which account is next when nothing says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each tick moves on to the next usable account.
    RoundRobin,
    /// The account in use stays until it is refused.
    Sticky,
    /// The same, and then the account whose usage window resets first, as far as signals told.
    EarliestReset,
}

/// How long an account is left alone when nobody says until when.
#[derive(Clone, Copy, Debug)]
pub struct Floors {
    /// One that is capped.
    pub cap: Duration,
    /// One that was refused for something that passes.
    pub transient: Duration,
}

/// What the operator wants of a pass.
#[derive(Clone, Copy, Debug)]
pub struct PassOptions {
    /// Which account is next.
    pub order: Order,
    /// A slot that is named, or `None` for the order's own.
    pub to: Option<Slot>,
    /// Only choose and publish, with the logins as they are: nothing is refreshed, and no signal is taken.
    pub offline: bool,
    /// Refresh nothing but this slot.
    pub only: Option<Slot>,
    /// How long a refused account rests when nobody says.
    pub floors: Floors,
    /// How long before its end a login is refreshed.
    pub refresh_before: Duration,
}

/// What an account is chosen by.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Which account is next.
    pub order: Order,
    /// What the pass is for.
    pub purpose: Purpose,
}

/// What this pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody called: time to move on, where the order says so.
    Tick,
    /// Somebody called, but not for another account: the one in use stays if it can be used.
    Look,
    /// Somebody called for another account.
    MoveOn,
    /// The operator names the slot.
    To(Slot),
}
