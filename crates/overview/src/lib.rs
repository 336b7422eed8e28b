//! What there is to see of the accounts, for a terminal, a script, a scrape and a page. Pure: the rotator's pool comes
//! in, and the same judgement decides.

pub mod bounds;
pub mod finding;
pub mod findings;
pub mod json;
pub mod observed;
pub mod trouble;
pub mod words;

use std::time::Duration;

use judgement::candidate::{Broken, Candidate};
use judgement::due;
use judgement::plan::Reason;
use judgement::pool::{Availability, Pool};
use records::published::PublishedRecord;
use records::state::{Cooldown, CooldownKind, CooldownSource, Parked};
use records::text::printable;
use records::usage::Usage;
use records::{AccountId, Expiry, Login, Naming, Slot, Timestamp};

use crate::trouble::{Trouble, troubles};

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// When it was looked.
    pub at: Timestamp,
    /// How people are named in it.
    pub naming: Naming,
    /// Slot by slot.
    pub rows: Vec<Row>,
    /// What LiteLLM is served.
    pub serving: Serving,
    /// Somebody is pinned whom no slot holds.
    pub pin_is_lost: bool,
}

/// What LiteLLM is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The account in this slot.
    Account(Slot),
    /// An account that no slot holds.
    Unknown,
    /// Our own record of nobody.
    Placeholder,
    /// There is no record.
    Nothing,
    /// What is wrong with it.
    Foreign(&'static str),
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub slot: Slot,
    /// Whose it is, if its file says so.
    pub who: Option<Who>,
    /// What it can be used for.
    pub state: SlotState,
    /// It is the one that LiteLLM is served.
    pub is_active: bool,
    /// The operator prefers it.
    pub is_pinned: bool,
    /// The rotator is about to renew it.
    pub is_due: bool,
    /// What keeps it from being refreshed.
    pub troubles: Vec<Trouble>,
}

/// Whose login is in a slot, and until when it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// As it may be shown.
    pub name: String,
    /// Who, for programs.
    pub account: AccountId,
    /// The subscription, as the provider last said it.
    pub plan: Option<String>,
    /// When its access token ends.
    pub expiry: Option<Expiry>,
    /// When it was last renewed.
    pub last_refresh: Option<Timestamp>,
    /// How much of its usage is used, as far as the provider told.
    pub usage: Option<Usage>,
}

/// What an account can be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Serving.
    Ready,
    /// Nothing, until its cooldown ends.
    Capped(Cooldown),
    /// Nothing: the operator put it aside.
    Parked(Parked),
    /// Its access token has ended, and the rotator will renew it.
    RefreshDue,
    /// Why.
    NeedsLogin(String),
    /// Its last refresh answered for another account than this one.
    OtherAccount(AccountId),
    /// The same account as in this slot, where its login is newer.
    Duplicate(Slot),
    /// What is wrong with its file.
    Unusable(Broken),
}

/// Looks at a pool. `before` is how long before its end the rotator renews a login.
#[must_use]
pub fn overview(pool: &Pool, before: Duration, naming: Naming, now: Timestamp) -> Overview {
    let serving = serving(pool);
    let rows =
        pool.slots.iter().map(|candidate| row(pool, candidate, serving, before, naming, now)).collect();
    let pin_is_lost = pool.state.pin.as_ref().is_some_and(|pin| pool.holder(pin).is_none());
    Overview { at: now, naming, rows, serving, pin_is_lost }
}

impl Row {
    /// Whether the account needs a login, now or when its access token ends.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        matches!(self.state, SlotState::NeedsLogin(_) | SlotState::OtherAccount(_))
            || self.troubles.iter().any(|trouble| matches!(trouble, Trouble::NeedsLogin { .. }))
    }
}

impl Overview {
    /// How many accounts can serve now, without a cooldown that runs.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.rows.iter().filter(|row| row.state == SlotState::Ready).count()
    }

    /// Whether a pass has an account to publish: one that can serve, the capped one that comes back before the others, or one
    /// that it refreshes first.
    #[must_use]
    pub fn can_publish(&self) -> bool {
        let is_publishable =
            |row: &Row| matches!(row.state, SlotState::Ready | SlotState::Capped(_) | SlotState::RefreshDue);
        self.rows.iter().any(is_publishable)
    }

    /// The capped account that comes back before the others, and when.
    #[must_use]
    pub fn first_back(&self) -> Option<(&Row, Timestamp)> {
        let capped = self.rows.iter().filter_map(|row| match &row.state {
            SlotState::Capped(cooldown) => Some((row, cooldown.until)),
            _ => None,
        });
        capped.min_by_key(|(row, until)| (*until, row.slot))
    }
}

fn serving(pool: &Pool) -> Serving {
    match &pool.published {
        PublishedRecord::Account(account) => {
            pool.holder(account).map_or(Serving::Unknown, |holder| Serving::Account(holder.slot))
        }
        PublishedRecord::Placeholder => Serving::Placeholder,
        PublishedRecord::Missing => Serving::Nothing,
        PublishedRecord::Foreign { why } => Serving::Foreign(why),
    }
}

fn row(
    pool: &Pool,
    candidate: &Candidate,
    serving: Serving,
    before: Duration,
    naming: Naming,
    now: Timestamp,
) -> Row {
    let login = candidate.login.as_ref().ok();
    let is_holder = |login: &Login| pool.holder(&login.account).is_some_and(|h| h.slot == candidate.slot);
    let pin = pool.state.pin.as_ref();
    let state = state(pool, candidate, now);
    Row {
        slot: candidate.slot,
        is_active: serving == Serving::Account(candidate.slot),
        is_pinned: login.is_some_and(|login| pin == Some(&login.account) && is_holder(login)),
        troubles: login
            .filter(|login| is_holder(login))
            .map(|login| troubles(pool, candidate, login, now))
            .unwrap_or_default(),
        is_due: state == SlotState::RefreshDue || due::is_due(pool, candidate, before, now),
        state,
        who: login.map(|login| Who {
            name: naming.of(login),
            account: login.account.clone(),
            plan: plan(pool, login),
            expiry: login.expiry,
            last_refresh: login.last_refresh,
            usage: pool.state.account_state(&login.account).usage.and_then(|usage| usage.current(now)),
        }),
    }
}

/// The subscription: what the provider told after the token was made, else what the token says.
fn plan(pool: &Pool, login: &Login) -> Option<String> {
    let told = pool.state.account_state(&login.account).plan.filter(|told| told.is_newer_than(login));
    told.map(|told| told.name().to_owned()).or_else(|| login.plan.clone()).map(|plan| printable(&plan))
}

fn state(pool: &Pool, candidate: &Candidate, now: Timestamp) -> SlotState {
    let account_state = candidate.login.as_ref().map(|login| pool.state.account_state(&login.account));
    let account_state = account_state.unwrap_or_default();
    match pool.judge(candidate, now) {
        Ok((_, Availability::Ready)) | Err(Reason::NotItsTurn) => SlotState::Ready,
        Ok((_, Availability::Cooling(until))) => {
            let refused = Cooldown { until, kind: CooldownKind::Refused, source: CooldownSource::Floor };
            SlotState::Capped(account_state.cooldown.filter(|it| it.until == until).unwrap_or(refused))
        }
        Err(Reason::Cooling(cooldown)) => SlotState::Capped(cooldown),
        Err(Reason::Parked(parked)) => SlotState::Parked(parked),
        Err(Reason::RefreshDue(_)) => SlotState::RefreshDue,
        Err(Reason::Expired(expiry)) => SlotState::NeedsLogin(format!("its access token expired {expiry}")),
        Err(Reason::NeedsLogin(code)) => SlotState::NeedsLogin(code),
        Err(Reason::OtherAccount(from)) => SlotState::OtherAccount(from),
        Err(Reason::SameAccountAs(other)) => SlotState::Duplicate(other),
        Err(Reason::Unusable(why)) => SlotState::Unusable(why),
    }
}
