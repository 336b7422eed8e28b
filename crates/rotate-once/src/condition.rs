//! Conditions: what receivers are notified of, when it begins and when it is over. They are made of the findings that
//! the table, the page and the doctor show. Pure.

use judgement::pool::Pool;
use overview::finding::{Finding, Id};
use overview::findings;
use overview::{Overview, Row};
use records::{AccountId, Slot, Timestamp};
use serde::{Deserialize, Serialize};

/// What a condition is about. An account is known by its identity, whatever slot it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum About {
    /// No account can serve.
    Pool,
    /// The pool will be exhausted within hours.
    Forecast,
    /// This account needs a login.
    Account(AccountId),
    /// This account cannot be refreshed, and serves until its access token ends.
    Refresh(AccountId),
    /// The file in this slot is broken, so that its account is not known.
    File(Slot),
}

/// A condition that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) about: About,
    pub(crate) slot: Option<Slot>,
    /// Masked.
    pub(crate) identity: Option<String>,
    /// When it began, if the volume says so.
    pub(crate) since: Option<Timestamp>,
    /// Of the pool: no account is merely capped, so that waiting does not help.
    pub(crate) is_grave: bool,
    pub(crate) finding: Finding,
}

/// All conditions that hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// The worst first.
    pub(crate) all: Vec<Condition>,
    /// No slot holds anything. Before the first sign-in that is not a condition, and later it is not a recovery.
    pub(crate) is_empty: bool,
}

impl Conditions {
    /// The conditions that hold for these accounts.
    pub(crate) fn of(overview: &Overview, pool: &Pool) -> Self {
        let mut all: Vec<Condition> = Vec::new();
        let findings = findings::of_accounts(overview);
        for condition in findings.iter().filter_map(|finding| condition(finding, overview, pool)) {
            // Two reasons why an account is not refreshed are one condition.
            if !all.iter().any(|known| known.about == condition.about) {
                all.push(condition);
            }
        }
        Self { all, is_empty: overview.rows.is_empty() }
    }

    pub(crate) fn about(&self, about: &About) -> Option<&Condition> {
        self.all.iter().find(|condition| condition.about == *about)
    }
}

/// The condition that a finding stands for, if receivers are notified of it.
fn condition(finding: &Finding, overview: &Overview, pool: &Pool) -> Option<Condition> {
    let slot = finding.slot;
    let row = overview.rows.iter().find(|row| Some(row.slot) == slot);
    let who = row.and_then(|row| row.who.as_ref());
    let account = || who.and_then(|who| who.account.clone());
    let about = match finding.id {
        Id::PoolExhausted | Id::PoolCapped => About::Pool,
        Id::PoolRunsOut => About::Forecast,
        Id::NeedsLogin | Id::OtherAccount => About::Account(account()?),
        Id::SlotBroken | Id::SlotBlocked => About::File(slot?),
        Id::RefreshUnanswered | Id::RefreshRefused | Id::NotStorable => About::Refresh(account()?),
        _ => return None,
    };
    Some(Condition {
        since: since(finding.id, &about, row, pool),
        about,
        slot,
        identity: who.map(|who| who.name.clone()),
        is_grave: finding.id == Id::PoolExhausted,
        finding: finding.clone(),
    })
}

fn since(id: Id, about: &About, row: Option<&Row>, pool: &Pool) -> Option<Timestamp> {
    match about {
        About::Account(account) => pool.state.account_state(account).needs_login.map(|dead| dead.since),
        About::Refresh(_) => row?.troubles.iter().find(|trouble| trouble.id() == id)?.since(),
        About::Pool | About::Forecast | About::File(_) => None,
    }
}
