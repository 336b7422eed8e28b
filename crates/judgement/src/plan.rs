//! What a pass decides: which account serves and why, and why each other slot does not.

use std::collections::BTreeMap;
use std::fmt;

use records::state::{Active, Cooldown, Parked};
use records::{AccountId, Expiry, Lane, Login, Slot, Timestamp, remedy};

use crate::candidate::Broken;
use crate::phrases::with_remedy;

/// What a pass is to do.
#[derive(Debug)]
pub struct Plan {
    /// The account to publish, which is that of the first lane.
    pub chosen: Option<Chosen>,
    /// The accounts of the lanes after the first.
    pub lanes: BTreeMap<Lane, Chosen>,
    /// Every other slot, and why it was not chosen.
    pub passed_over: Vec<(Slot, Reason)>,
    /// Whether the content of `auth.json` must be replaced by the placeholder.
    pub placeholder: bool,
}

/// The account to publish, and why it was chosen.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub slot: Slot,
    pub login: Login,
    /// Since when it has been the account in use.
    pub since: Timestamp,
    pub why: Why,
}

/// Why an account was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An operator named its slot.
    Named,
    /// An operator has pinned it.
    Pinned,
    /// It is the one in use, and nothing asks for another.
    StaysActive,
    /// No other can be used.
    OnlyUsable,
    /// It follows this slot.
    NextAfter(Slot),
    /// Its usage window resets before those of the others.
    EarliestReset,
    /// It has used the smallest part of its windows.
    LeastUsed,
    /// It has most left, by what its plan holds.
    MostLeft,
    /// It is in the first slot, and none was in use.
    First,
    /// All have a cooldown, and its cooldown ends first.
    BackFirst(Timestamp),
}

/// Why a slot was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It can be used, and another one was chosen.
    NotItsTurn,
    /// Its file is no login that can be read.
    Unusable(Broken),
    /// Its access token has ended, and nothing can refresh it.
    Expired(Expiry),
    /// Its access token has ended, and a pass will refresh it.
    RefreshDue(Expiry),
    /// This slot holds a newer login of the same account.
    SameAccountAs(Slot),
    /// The provider has refused it, and its cooldown has not ended.
    Cooling(Cooldown),
    /// An operator has parked it.
    Parked(Parked),
    /// What is left of its usage is its owner's, until a window resets.
    Reserved(Timestamp),
    /// Its grant has ended, by this code.
    NeedsLogin(String),
    /// It belonged to this account, and its last refresh brought another account's tokens.
    OtherAccount(AccountId),
}

impl Chosen {
    /// What the state remembers of it, once its record is published.
    #[must_use]
    pub fn active(&self) -> Active {
        Active { account: self.login.account.clone(), slot: self.slot, since: self.since }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("named by the operator"),
            Self::Pinned => f.write_str("pinned"),
            Self::StaysActive => f.write_str("it is the one in use"),
            Self::OnlyUsable => f.write_str("the only usable one"),
            Self::NextAfter(slot) => write!(f, "the next after {slot}"),
            Self::EarliestReset => f.write_str("its usage resets first"),
            Self::LeastUsed => f.write_str("it has used the least"),
            Self::MostLeft => f.write_str("it has most left"),
            Self::First => f.write_str("the first"),
            Self::BackFirst(until) => write!(f, "all are cooling down, and it comes back first, {until}"),
        }
    }
}

impl Reason {
    /// Why this slot was passed over, and the command that resolves it.
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
            Self::Reserved(until) => (format!("the rest of its usage is its owner's until {until}"), None),
            Self::Parked(parked) => (parked_by_the_operator(slot, parked), None),
            Self::NeedsLogin(code) => ("needs login".to_owned(), Some(code.clone())),
            Self::OtherAccount(from) => (
                format!("its last refresh answered for another account than {from}"),
                Some(format!("{} lets it serve", remedy::unpark(slot))),
            ),
        };
        with_remedy(&what, command.as_deref(), why.as_deref())
    }

    /// The command that resolves it, the same as that of its finding; `None` if an operator wants it so, or time resolves it.
    #[must_use]
    pub fn command(&self, slot: Slot) -> Option<String> {
        match self {
            Self::Unusable(broken) => Some(broken.remedy(slot)),
            Self::Expired(_) | Self::NeedsLogin(_) => Some(remedy::login(slot)),
            Self::SameAccountAs(_) => Some(remedy::remove(slot)),
            Self::OtherAccount(_) => Some(remedy::login_replacing(slot)),
            Self::NotItsTurn
            | Self::RefreshDue(_)
            | Self::Cooling(_)
            | Self::Reserved(_)
            | Self::Parked(_) => None,
        }
    }
}

fn parked_by_the_operator(slot: Slot, Parked { until, reason }: &Parked) -> String {
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("parked by the operator{until}{reason}: {} lets it serve", remedy::unpark(slot))
}
