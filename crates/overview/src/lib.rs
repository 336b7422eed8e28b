//! How the accounts stand, for a terminal, a script, a scrape and a page. Pure: it is made from the rotator's pool, with the
//! rotator's judgement.

pub mod agents;
pub mod bounds;
pub mod digest;
pub mod finding;
pub mod findings;
pub mod json;
pub mod observed;
pub mod trouble;
pub mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use judgement::candidate::{Broken, Candidate};
use judgement::due;
use judgement::forecast::{self, Left};
use judgement::plan::Reason;
use judgement::pool::{Availability, Pool};
use records::published::PublishedRecord;
use records::state::{Cooldown, CooldownKind, CooldownSource, Parked};
use records::text::printable;
use records::usage::Usage;
use records::{AccountId, Expiry, Lane, Login, Naming, Slot, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agents::AgentRow;
use crate::trouble::{Trouble, troubles};

/// How all accounts stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// When it was observed.
    pub at: Timestamp,
    /// The time by which it is judged, which is later where a digest is shown.
    #[serde(skip, default = "not_yet")]
    pub now: Timestamp,
    pub naming: Naming,
    /// One row for each slot.
    pub rows: Vec<Row>,
    pub published: Published,
    /// The pinned account is in no slot.
    pub pin_is_lost: bool,
    /// When the pool will be exhausted, if its accounts are used as in the last hours and none comes back before.
    pub exhausted_at: Option<Timestamp>,
    /// What the agents have used, as far as LiteLLM's callback has counted it.
    #[serde(default)]
    pub agents: Vec<AgentRow>,
}

/// The account of the published record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Published {
    /// The account in this slot.
    Account(Slot),
    /// An account that no slot holds.
    Unknown,
    /// The record is the placeholder.
    Placeholder,
    /// There is no record.
    Nothing,
    /// Another program has written the record, and this is wrong with it.
    Foreign(String),
}

/// How one slot stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub slot: Slot,
    /// Whose login is in it, if its file can be read.
    pub who: Option<AccountInfo>,
    pub state: SlotState,
    /// Its account serves: it is the published one, or that of another lane.
    pub is_active: bool,
    /// The lanes in which it serves, if the pool has several.
    pub lanes: Vec<Lane>,
    pub is_pinned: bool,
    /// The rotator will refresh it at its next pass.
    pub is_due: bool,
    /// What keeps it from being refreshed.
    pub troubles: Vec<Trouble>,
}

/// What is known of the account whose login is in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountInfo {
    /// As it may be shown.
    pub name: String,
    /// Left out of a digest in which people are masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The subscription, as the provider last reported it.
    pub plan: Option<String>,
    /// When the access token ends.
    pub expiry: Option<Expiry>,
    pub last_refresh: Option<Timestamp>,
    /// As far as the provider has reported it.
    pub usage: Option<Usage>,
    /// The same of limits that are those of a family of models alone.
    pub families: BTreeMap<String, Usage>,
    /// The models that the provider refuses for this account alone, and until when.
    pub models: BTreeMap<String, Timestamp>,
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// It can serve.
    Ready,
    /// The provider has refused it, and its cooldown has not ended.
    Capped(Cooldown),
    /// An operator has parked it.
    Parked(Parked),
    /// What is left of its usage is its owner's, until a window resets.
    Reserved(Timestamp),
    /// Its access token has ended, and the rotator will refresh it.
    RefreshDue,
    /// It needs a login, for this reason.
    NeedsLogin(String),
    /// It belonged to the account of this name, and its last refresh brought another account's tokens.
    OtherAccount(String),
    /// This slot holds a newer login of the same account.
    Duplicate(Slot),
    /// Its file is no login that can be read.
    Unusable(Broken),
}

/// The overview of a pool, without what agents have used. `before` is how long before its end the rotator refreshes a login.
#[must_use]
pub fn overview(pool: &Pool, before: Duration, naming: Naming, now: Timestamp) -> Overview {
    let published = published(pool);
    let rows: Vec<_> =
        pool.slots.iter().map(|candidate| row(pool, candidate, &published, before, naming, now)).collect();
    let exhausted_at = exhausted_at(pool, &rows, now);
    let pin_is_lost = pool.state.pin.as_ref().is_some_and(|pin| pool.holder(pin).is_none());
    Overview { at: now, now, naming, rows, published, pin_is_lost, exhausted_at, agents: Vec::new() }
}

/// Stands for the time by which a digest is judged, until that is known.
fn not_yet() -> Timestamp {
    Timestamp::from_seconds(0)
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
    /// How many accounts can serve now and have no cooldown.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.rows.iter().filter(|row| row.state == SlotState::Ready).count()
    }

    /// Whether a pass has an account to publish: one that can serve, the capped one whose cooldown ends first, or one that it
    /// refreshes.
    #[must_use]
    pub fn can_publish(&self) -> bool {
        let is_publishable =
            |row: &Row| matches!(row.state, SlotState::Ready | SlotState::Capped(_) | SlotState::RefreshDue);
        self.rows.iter().any(is_publishable)
    }

    /// The account that comes back first by itself, and when: at the end of its cooldown, or of a reserve.
    #[must_use]
    pub fn first_back(&self) -> Option<(&Row, Timestamp)> {
        let capped = self.rows.iter().filter_map(|row| match &row.state {
            SlotState::Capped(cooldown) => Some((row, cooldown.until)),
            SlotState::Reserved(until) => Some((row, *until)),
            _ => None,
        });
        capped.min_by_key(|(row, until)| (*until, row.slot))
    }
}

fn published(pool: &Pool) -> Published {
    match &pool.published {
        PublishedRecord::Account(account) => {
            pool.holder(account).map_or(Published::Unknown, |holder| Published::Account(holder.slot))
        }
        PublishedRecord::Placeholder => Published::Placeholder,
        PublishedRecord::Missing => Published::Nothing,
        PublishedRecord::Foreign { why } => Published::Foreign((*why).to_owned()),
    }
}

fn row(
    pool: &Pool,
    candidate: &Candidate,
    published: &Published,
    before: Duration,
    naming: Naming,
    now: Timestamp,
) -> Row {
    let login = candidate.login.as_ref().ok();
    let is_holder = |login: &Login| pool.holder(&login.account).is_some_and(|h| h.slot == candidate.slot);
    let pin = pool.state.pin.as_ref();
    let state = state(pool, candidate, naming, now);
    let lanes = login.filter(|login| is_holder(login) && !pool.state.lanes.is_empty());
    let lanes: Vec<_> = lanes.iter().flat_map(|login| pool.lanes_of(&login.account)).collect();
    Row {
        slot: candidate.slot,
        is_active: *published == Published::Account(candidate.slot) || !lanes.is_empty(),
        lanes,
        is_pinned: login.is_some_and(|login| pin == Some(&login.account) && is_holder(login)),
        troubles: login
            .filter(|login| is_holder(login))
            .map(|login| troubles(pool, candidate, login, now))
            .unwrap_or_default(),
        is_due: state == SlotState::RefreshDue || due::is_due(pool, candidate, before, now),
        state,
        who: login.map(|login| AccountInfo {
            name: naming.of(login),
            account: Some(login.account.clone()),
            plan: plan(pool, login),
            expiry: login.expiry,
            last_refresh: login.last_refresh,
            usage: pool.usage(&login.account).and_then(|usage| usage.clone().current(now)),
            families: families(pool, login, now),
            models: models(pool, login, now),
        }),
    }
}

fn families(pool: &Pool, login: &Login, now: Timestamp) -> BTreeMap<String, Usage> {
    let families = pool.state.account_state(&login.account).families.into_iter();
    families.filter_map(|(name, usage)| Some((name, usage.current(now)?))).collect()
}

fn models(pool: &Pool, login: &Login, now: Timestamp) -> BTreeMap<String, Timestamp> {
    let models = pool.state.account_state(&login.account).models.into_iter();
    models.map(|(model, cooldown)| (model, cooldown.until)).filter(|(_, until)| *until > now).collect()
}

/// When the accounts that can serve now will be used up, if they are used on as in the last hours.
fn exhausted_at(pool: &Pool, rows: &[Row], now: Timestamp) -> Option<Timestamp> {
    let ready = rows.iter().filter(|row| row.state == SlotState::Ready);
    let left: Vec<_> = ready
        .filter_map(|row| row.who.as_ref())
        .map(|who| Left { usage: who.account.as_ref().and_then(|account| pool.usage(account)) })
        .collect();
    forecast::exhausted_at(&left, &pool.state.consumption, now)
}

/// The subscription: what the provider has reported since the token was made, else what the token says.
fn plan(pool: &Pool, login: &Login) -> Option<String> {
    let reported = pool.state.account_state(&login.account).plan.filter(|plan| plan.is_newer_than(login));
    reported.map(|plan| plan.name().to_owned()).or_else(|| login.plan.clone()).map(|plan| printable(&plan))
}

fn state(pool: &Pool, candidate: &Candidate, naming: Naming, now: Timestamp) -> SlotState {
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
        Err(Reason::Reserved(until)) => SlotState::Reserved(until),
        Err(Reason::RefreshDue(_)) => SlotState::RefreshDue,
        Err(Reason::Expired(expiry)) => SlotState::NeedsLogin(format!("its access token expired {expiry}")),
        Err(Reason::NeedsLogin(code)) => SlotState::NeedsLogin(code),
        Err(Reason::OtherAccount(from)) => SlotState::OtherAccount(naming.of_account(&from)),
        Err(Reason::SameAccountAs(other)) => SlotState::Duplicate(other),
        Err(Reason::Unusable(why)) => SlotState::Unusable(why),
    }
}
