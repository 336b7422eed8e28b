//! What the rotator remembers from one pass to the next, by account and never by slot.

mod account_state;
mod cooldown;
mod predecessor;
mod read;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use thiserror::Error;

use self::read::Fields;
use crate::consumption::Consumption;
use crate::counters::Counters;
use crate::limits::MOST_FAMILIES;
use crate::{AccountId, Lane, Slot, Timestamp};

pub use self::account_state::{
    AccountState, NeedsLogin, Parked, PollPause, RefreshRefusal, Refusals, ReportedPlan,
};
pub use self::cooldown::{Cooldown, CooldownKind, CooldownSource};
pub use self::predecessor::Predecessor;

/// The version this program writes.
const VERSION: u32 = 1;

/// The largest state that is read, in bytes: three times what 10,000 capped accounts need.
pub const LARGEST: u64 = 16 << 20;

/// How many names of handled signals are remembered. Should a pass die, signals beyond them are handled once more.
const MOST_HANDLED: usize = 1000;

/// How long a reported plan counts: no access token is that old, and a newer token's claims know better.
const PLAN_COUNTS_FOR: Duration = Duration::from_hours(30 * 24);

/// How many models of an account may be refused at once; no plan has as many.
const MOST_MODELS: usize = 16;

/// A refusal of the usage endpoint this long after the previous pause counts as the first again.
const POLL_PAUSE_COUNTS_FOR: Duration = Duration::from_hours(24);

/// The content of `rotator_state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    version: u32,
    /// The account whose record is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<Active>,
    /// The accounts in the lanes after the first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "as_list_of_lanes")]
    pub lanes: BTreeMap<Lane, Active>,
    /// The signals of the last pass that had any, by the names of their files. Should it die before it has removed them,
    /// the next pass does not handle them again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handled_signals: Vec<String>,
    /// The account that the operator wants whenever it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<AccountId>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "as_list")]
    pub accounts: BTreeMap<AccountId, AccountState>,
    #[serde(skip_serializing_if = "Counters::is_empty")]
    pub counters: Counters,
    /// How fast the pool's usage windows are used up.
    #[serde(skip_serializing_if = "Consumption::is_empty")]
    pub consumption: Consumption,
    /// What a later release of the same version has added: kept.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The account in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Active {
    #[serde(flatten)]
    pub account: AccountId,
    /// Where its login was when it became active.
    pub slot: Slot,
    pub since: Timestamp,
}

/// Why a file is not a state of ours.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotAState {
    /// It is no JSON object.
    #[error("not a state file ({0})")]
    Broken(String),
    /// It was written by a later release.
    #[error("version {0}, which is newer than this program: use the newer one")]
    Newer(u64),
}

/// A state that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Ours(Box<State>),
    Predecessors(Predecessor),
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            active: None,
            lanes: BTreeMap::new(),
            handled_signals: Vec::new(),
            pin: None,
            accounts: BTreeMap::new(),
            counters: Counters::default(),
            consumption: Consumption::default(),
            rest: Map::new(),
        }
    }
}

impl State {
    /// Reads a state from a file's bytes. A value in it that makes no sense costs that value.
    ///
    /// # Errors
    /// It is no JSON object, or it was written by a later release.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, NotAState> {
        let document: Value = serde_json::from_slice(bytes).map_err(|e| NotAState::Broken(e.to_string()))?;
        if let Some(version) = document["version"].as_u64().filter(|version| *version > VERSION.into()) {
            return Err(NotAState::Newer(version));
        }
        if let Some(predecessor) = Predecessor::read(&document) {
            return Ok(Parsed::Predecessors(predecessor));
        }
        match document {
            Value::Object(fields) => Ok(Parsed::Ours(Box::new(Self::read(Fields::new(fields))))),
            _ => Err(NotAState::Broken("no JSON object".to_owned())),
        }
    }

    /// What is known of an account.
    #[must_use]
    pub fn account_state(&self, account: &AccountId) -> AccountState {
        self.accounts.get(account).cloned().unwrap_or_default()
    }

    /// Forgets what a new login of the account has put right. A park stays, for it is the operator's, and so does the
    /// usage: a login gives none back.
    pub fn reset_after_login(&mut self, account: &AccountId) {
        if let Some(known) = self.accounts.get_mut(account) {
            let (parked, usage) = (known.parked.take(), known.usage.take());
            let families = std::mem::take(&mut known.families);
            *known = AccountState { parked, usage, families, ..AccountState::default() };
        }
        self.forget_unremarkable();
    }

    /// Ends the account's park and its cooldown, and lets it serve though it came from another account. A grant that has
    /// ended stays ended. Returns whether there was anything to end.
    pub fn unpark(&mut self, account: &AccountId) -> bool {
        let Some(known) = self.accounts.get_mut(account) else { return false };
        let ended = known.parked.take().is_some()
            | known.cooldown.take().is_some()
            | known.came_from.take().is_some()
            | !std::mem::take(&mut known.models).is_empty();
        (known.refusals, known.refreshed_after_401) = (None, None);
        self.forget_unremarkable();
        ended
    }

    /// Moves what is known of an account, and a pin, to another identity of the same person.
    pub fn follow(&mut self, before: &AccountId, after: &AccountId) {
        if let Some(known) = self.accounts.remove(before) {
            self.accounts.entry(after.clone()).or_insert(known);
        }
        if let Some(pin) = self.pin.as_mut().filter(|pin| *pin == before) {
            pin.clone_from(after);
        }
        let serving = self.active.iter_mut().chain(self.lanes.values_mut());
        for active in serving.filter(|active| active.account == *before) {
            active.account.clone_from(after);
        }
    }

    /// Forgets an account whose login is gone.
    pub fn forget(&mut self, account: &AccountId) {
        self.accounts.remove(account);
        self.pin.take_if(|pinned| pinned == account);
        self.active.take_if(|active| active.account == *account);
        self.lanes.retain(|_, active| active.account != *account);
    }

    /// Forgets what time has settled, so that the file does not grow for ever.
    pub fn tidy(&mut self, now: Timestamp) {
        self.handled_signals.truncate(MOST_HANDLED);
        for known in self.accounts.values_mut() {
            known.cooldown.take_if(|cooldown| cooldown.until <= now);
            known.parked.take_if(|parked| parked.until.is_some_and(|until| until <= now));
            known.next_reset.take_if(|reset| *reset <= now);
            known.usage = known.usage.take().and_then(|usage| usage.current(now));
            let families = std::mem::take(&mut known.families).into_iter();
            known.families = families
                .filter_map(|(name, usage)| Some((name, usage.current(now)?)))
                .take(MOST_FAMILIES)
                .collect();
            known.models.retain(|_, cooldown| cooldown.until > now);
            while known.models.len() > MOST_MODELS {
                known.models.pop_first();
            }
            if known.cooldown.is_none() {
                known.refused_models.clear();
            }
            while known.refused_models.len() > MOST_MODELS {
                known.refused_models.pop_first();
            }
            known
                .usage_poll
                .take_if(|pause| pause.until <= now && now.since(pause.until) > POLL_PAUSE_COUNTS_FOR);
            known.plan.take_if(|plan| now.since(plan.at) >= PLAN_COUNTS_FOR);
        }
        self.consumption.tidy(now);
        self.forget_unremarkable();
    }

    /// The bytes to write: without spaces, because it is written at each pass, and read by programs.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a state has string keys only");
        bytes.push(b'\n');
        bytes
    }

    /// Forgets the accounts of which nothing is known.
    fn forget_unremarkable(&mut self) {
        self.accounts.retain(|_, known| *known != AccountState::default());
    }
}

/// JSON has no keys of two parts, so the map is written as a list.
fn as_list<S: Serializer>(
    accounts: &BTreeMap<AccountId, AccountState>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        #[serde(flatten)]
        account: &'a AccountId,
        #[serde(flatten)]
        known: &'a AccountState,
    }
    serializer.collect_seq(accounts.iter().map(|(account, known)| Entry { account, known }))
}

fn as_list_of_lanes<S: Serializer>(lanes: &BTreeMap<Lane, Active>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        lane: Lane,
        #[serde(flatten)]
        active: &'a Active,
    }
    serializer.collect_seq(lanes.iter().map(|(lane, active)| Entry { lane: *lane, active }))
}

#[cfg(test)]
mod tests;
