//! What is the condition with the accounts that somebody should be told of. Pure, and with the eyes of the page, the
//! metrics and their alerts.

use judgement::pool::Pool;
use overview::trouble::Trouble;
use overview::{Overview, Row, SlotState};
use records::{AccountId, Slot, Timestamp};
use serde::{Deserialize, Serialize};

/// What somebody is told about. An account stays who it is, whatever slot it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum About {
    /// Nobody can serve.
    Pool,
    /// This account needs a login.
    Account(AccountId),
    /// This account cannot be refreshed, and serves until its access token ends.
    Refresh(AccountId),
    /// The file in this slot is broken, and does not say whose it is.
    File(Slot),
}

/// Something that is the condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) about: About,
    /// Where it is.
    pub(crate) slot: Option<Slot>,
    /// Whose it is, masked.
    pub(crate) identity: Option<String>,
    /// Since when, where the volume tells.
    pub(crate) since: Option<Timestamp>,
    /// Of the pool: nobody is merely capped, so waiting helps nobody.
    pub(crate) is_grave: bool,
}

/// All that is the condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// The worst first.
    pub(crate) all: Vec<Condition>,
    /// No slot holds anything. Before the first sign-in that is no news, and after it no recovery.
    pub(crate) is_empty: bool,
}

impl Conditions {
    /// Sees what is the condition.
    pub(crate) fn seen(overview: &Overview, pool: &Pool) -> Self {
        let rows = &overview.rows;
        let of_pool = (!rows.is_empty() && overview.usable() == 0).then(|| Condition {
            about: About::Pool,
            slot: None,
            identity: None,
            since: None,
            is_grave: first_back(rows).is_none(),
        });
        let of_slots = rows.iter().flat_map(|row| of_slot(row, pool).into_iter().chain(of_refresh(row)));
        Self { all: of_pool.into_iter().chain(of_slots).collect(), is_empty: rows.is_empty() }
    }

    pub(crate) fn about(&self, about: &About) -> Option<&Condition> {
        self.all.iter().find(|condition| condition.about == *about)
    }
}

fn of_slot(row: &Row, pool: &Pool) -> Option<Condition> {
    let (about, since) = match (&row.state, &row.who) {
        (_, Some(who)) if needs_login(row) => {
            let since = pool.state.of(&who.account).needs_login.map(|dead| dead.since);
            (About::Account(who.account.clone()), since)
        }
        (SlotState::Unusable(_), _) => (About::File(row.slot), None),
        _ => return None,
    };
    let identity = row.who.as_ref().map(|who| who.name.clone());
    Some(Condition { about, slot: Some(row.slot), identity, since, is_grave: false })
}

/// Whether a row needs a login, now or when its access token ends.
pub(crate) fn needs_login(row: &Row) -> bool {
    matches!(row.state, SlotState::NeedsLogin(_) | SlotState::CameFrom(_))
        || row.troubles.iter().any(|trouble| matches!(trouble, Trouble::NeedsLogin { .. }))
}

/// What keeps a row from being refreshed, and is not that it needs a login.
pub(crate) fn failing(row: &Row) -> Option<&Trouble> {
    row.troubles.iter().find(|trouble| !matches!(trouble, Trouble::NeedsLogin { .. }))
}

fn of_refresh(row: &Row) -> Option<Condition> {
    let (trouble, who) = (failing(row)?, row.who.as_ref()?);
    let since = match trouble {
        Trouble::Unanswered { since, .. } | Trouble::Refused { since, .. } => Some(*since),
        Trouble::NeedsLogin { .. } | Trouble::NotStorable(_) => None,
    };
    let about = About::Refresh(who.account.clone());
    Some(Condition { about, slot: Some(row.slot), identity: Some(who.name.clone()), since, is_grave: false })
}

/// The capped account that comes back before the others, and when.
pub(crate) fn first_back(rows: &[Row]) -> Option<(&Row, Timestamp)> {
    let capped = rows.iter().filter_map(|row| match &row.state {
        SlotState::Capped(cooldown) => Some((row, cooldown.until)),
        _ => None,
    });
    capped.min_by_key(|(row, until)| (*until, row.slot))
}
