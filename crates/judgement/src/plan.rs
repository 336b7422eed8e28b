//! What a pass decides: who serves and why, and why each other slot does not.

use std::fmt;

use records::state::{Cooldown, Parked};
use records::{AccountId, Expiry, Login, Slot, Timestamp};

use crate::candidate::Broken;
use crate::phrases::needs_login_itself;

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// The account to publish.
    pub chosen: Option<Chosen>,
    /// Every other slot, and why not.
    pub passed_over: Vec<(Slot, Reason)>,
    /// Whether what stands in auth.json must give way to the placeholder.
    pub placeholder: bool,
}

/// The account to publish, and why it is that one.
#[derive(Debug)]
pub struct Chosen {
    /// Where its login is.
    pub slot: Slot,
    /// What is published of it.
    pub login: Login,
    /// Since when it is the one in use.
    pub since: Timestamp,
    /// Why this one.
    pub why: Why,
}

/// Why an account was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The operator named its slot.
    Asked,
    /// The operator pinned it.
    Pinned,
    /// It is the one in use, and nobody asked for another.
    StaysActive,
    /// There is no other.
    OnlyUsable,
    /// It comes after this slot.
    NextAfter(Slot),
    /// Its usage window resets before the others'.
    EarliestReset,
    /// It is the first of all.
    First,
    /// All are cooling down, and this one comes back first.
    BackFirst(Timestamp),
}

/// Why a slot was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It can be used, and another one is.
    NotItsTurn,
    /// What is wrong with its file.
    Unusable(Broken),
    /// Its access token has ended.
    Expired(Slot, Expiry),
    /// Another slot holds a newer login of the same account.
    SameAccountAs(Slot),
    /// It was refused for its usage.
    Cooling(Cooldown),
    /// The operator put it aside.
    Parked(Parked),
    /// Its grant is dead, by this code.
    NeedsLogin(Slot, String),
    /// Its last refresh answered with another account's tokens than this one's.
    CameFrom(Slot, AccountId),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::Pinned => f.write_str("pinned"),
            Self::StaysActive => f.write_str("it is the one in use"),
            Self::OnlyUsable => f.write_str("the only usable one"),
            Self::NextAfter(slot) => write!(f, "the next after {slot}"),
            Self::EarliestReset => f.write_str("its usage resets first"),
            Self::First => f.write_str("the first"),
            Self::BackFirst(until) => write!(f, "all are cooling down, and it comes back first, {until}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotItsTurn => f.write_str("not its turn"),
            Self::Unusable(broken) => broken.fmt(f),
            Self::Expired(slot, expiry) => {
                write!(f, "its access token expired {expiry}: run auth-login {}", slot.number())
            }
            Self::SameAccountAs(slot) => write!(f, "the same account as {slot}, whose login is newer"),
            Self::Cooling(cooldown) => write!(f, "capped until {cooldown}"),
            Self::Parked(Parked { until, reason }) => {
                f.write_str("parked by the operator")?;
                until.map_or(Ok(()), |until| write!(f, " until {until}"))?;
                reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
            }
            Self::CameFrom(slot, from) => {
                let number = slot.number();
                write!(
                    f,
                    "its last refresh answered for another account than {from}: run auth-login --replace {number}, or accounts \
                     unpark {number} to let it serve"
                )
            }
            Self::NeedsLogin(slot, code) => f.write_str(&needs_login_itself(*slot, code)),
        }
    }
}
