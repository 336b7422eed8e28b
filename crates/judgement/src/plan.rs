//! What a pass decides: who serves and why, and why each other slot does not.

use std::fmt;

use records::state::{Cooldown, Parked};
use records::{AccountId, Expiry, Login, Slot, Timestamp, remedy};

use crate::candidate::Broken;
use crate::phrases::with_remedy;

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
    /// Its access token has ended, and nothing can refresh it.
    Expired(Expiry),
    /// Its access token has ended, and a pass refreshes it.
    RefreshDue(Expiry),
    /// Another slot holds a newer login of the same account.
    SameAccountAs(Slot),
    /// It was refused for its usage.
    Cooling(Cooldown),
    /// The operator put it aside.
    Parked(Parked),
    /// Its grant is dead, by this code.
    NeedsLogin(String),
    /// Its last refresh answered with another account's tokens than this one's.
    CameFrom(AccountId),
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

impl Reason {
    /// Why this slot was passed over, and the command that mends it.
    #[must_use]
    pub fn line(&self, slot: Slot) -> String {
        let command = self.command(slot);
        let (what, why) = match self {
            Self::NotItsTurn => ("not its turn".to_owned(), None),
            Self::Unusable(broken) => (broken.to_string(), None),
            Self::Expired(expiry) => (format!("its access token expired {expiry}"), None),
            Self::RefreshDue(expiry) => {
                (format!("its access token expired {expiry}, and its refresh is due"), None)
            }
            Self::SameAccountAs(other) => {
                (format!("the same account as {other}, whose login is newer"), None)
            }
            Self::Cooling(cooldown) => (format!("capped until {cooldown}"), None),
            Self::Parked(parked) => (parked_by_the_operator(slot, parked), None),
            Self::NeedsLogin(code) => ("needs login".to_owned(), Some(code.clone())),
            Self::CameFrom(from) => (
                format!("its last refresh answered for another account than {from}"),
                Some(format!("{} lets it serve", remedy::unpark(slot))),
            ),
        };
        with_remedy(&what, command.as_deref(), why.as_deref())
    }

    /// The command that mends it, the same as that of its finding; none for what an operator wanted, or time mends.
    #[must_use]
    pub fn command(&self, slot: Slot) -> Option<String> {
        match self {
            Self::Unusable(broken) => Some(broken.remedy(slot)),
            Self::Expired(_) | Self::NeedsLogin(_) => Some(remedy::login(slot)),
            Self::SameAccountAs(_) => Some(remedy::remove(slot)),
            Self::CameFrom(_) => Some(remedy::login_replacing(slot)),
            Self::NotItsTurn | Self::RefreshDue(_) | Self::Cooling(_) | Self::Parked(_) => None,
        }
    }
}

fn parked_by_the_operator(slot: Slot, Parked { until, reason }: &Parked) -> String {
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("parked by the operator{until}{reason}: {} lets it serve", remedy::unpark(slot))
}
