//! Which account serves a model that some account is refused for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use records::state::{AccountState, Cooldown, CooldownKind};
use records::{Login, Slot, Timestamp};

use crate::plan::{Plan, Why};
use crate::pool::{Availability, Pool};

/// The accounts that serve single models, by model: for each that an account is refused for, unless the chosen account
/// serves it as it serves the others; `None` where no account serves it. If the chosen account is pinned, it is empty.
#[must_use]
pub fn served_by<'a>(
    pool: &'a Pool,
    plan: &Plan,
    now: Timestamp,
) -> BTreeMap<String, Option<(Slot, &'a Login)>> {
    let Some(chosen) = plan.chosen.as_ref().filter(|chosen| chosen.why != Why::Pinned) else {
        return BTreeMap::new();
    };
    let refused: BTreeSet<_> =
        pool.state.accounts.values().flat_map(|known| refused_for(known, now)).collect();
    let mut found = BTreeMap::new();
    for model in refused {
        match first_that_serves(pool, chosen.slot, model, now) {
            Some((slot, _, Availability::Ready)) if slot == chosen.slot => {}
            first => {
                found.insert(model.to_owned(), first.map(|(slot, login, _)| (slot, login)));
            }
        }
    }
    found
}

/// The models that an account is refused for, be it that they alone are or that its cap began with them.
fn refused_for(known: &AccountState, now: Timestamp) -> impl Iterator<Item = &str> {
    let is_capped = is_capped(known, now);
    let alone = known.models.iter().filter(move |(_, it)| it.until > now).map(|(model, _)| model);
    alone.chain(known.refused_models.iter().filter(move |_| is_capped)).map(String::as_str)
}

fn is_capped(known: &AccountState, now: Timestamp) -> bool {
    let is_cap = |it: &Cooldown| it.kind == CooldownKind::UsageCap && it.until > now;
    known.cooldown.as_ref().is_some_and(is_cap)
}

/// The chosen account, else the next one after it, so that it stays the same while nothing changes. One near its cap comes
/// last but for those whose caps began with other models: the limit may be that of these models.
fn first_that_serves<'a>(
    pool: &'a Pool,
    chosen: Slot,
    model: &str,
    now: Timestamp,
) -> Option<(Slot, &'a Login, Availability)> {
    let serving = pool.slots.iter().filter_map(|candidate| {
        let (login, availability) = pool.judge(candidate, now).ok()?;
        let known = pool.state.accounts.get(&login.account);
        let is_refused = known.is_some_and(|known| refused_for(known, now).any(|refused| refused == model));
        let is_cooling = availability != Availability::Ready;
        let may_be_others = |known: &AccountState| is_capped(known, now) && !known.refused_models.is_empty();
        if is_refused || is_cooling && !known.is_some_and(may_be_others) {
            return None;
        }
        let slot = candidate.slot;
        let is_above = pool.quota.is_above(pool.usage(&login.account), now);
        let rank = (is_cooling, slot != chosen, is_above, slot < chosen, slot);
        Some((rank, (slot, login, availability)))
    });
    serving.min_by_key(|(rank, _)| *rank).map(|(_, found)| found)
}
