//! Which account serves a model that the chosen account is refused for. Pure.

use std::collections::BTreeMap;

use records::state::{AccountState, CooldownKind};
use records::{Login, Slot, Timestamp};

use crate::plan::{Plan, Why};
use crate::pool::{Availability, Pool};

/// The accounts that serve the models which the chosen one is refused for, by model; `None` where no account serves it.
/// Without such a model, and if the chosen account is pinned, it is empty.
#[must_use]
pub fn served_by_others<'a>(
    pool: &'a Pool,
    plan: &Plan,
    now: Timestamp,
) -> BTreeMap<String, Option<(Slot, &'a Login)>> {
    let Some(chosen) = plan.chosen.as_ref().filter(|chosen| chosen.why != Why::Pinned) else {
        return BTreeMap::new();
    };
    let known = pool.state.accounts.get(&chosen.login.account);
    let refused = known.into_iter().flat_map(|known| &known.models).filter(|(_, it)| it.until > now);
    refused.map(|(model, _)| (model.clone(), other_account(pool, chosen.slot, model, now))).collect()
}

/// The next account after the chosen one, so that it stays the same while nothing changes. One near its cap comes last but
/// for those that were refused for other models only: their limit may be that of these models.
fn other_account<'a>(pool: &'a Pool, chosen: Slot, model: &str, now: Timestamp) -> Option<(Slot, &'a Login)> {
    let serving = pool.slots.iter().filter_map(|candidate| {
        let (login, availability) = pool.judge(candidate, now).ok()?;
        let known = pool.state.accounts.get(&login.account);
        let is_refused = known.and_then(|known| known.models.get(model)).is_some_and(|it| it.until > now);
        let is_cooling = availability != Availability::Ready;
        let may_serve = !is_cooling || known.is_some_and(|known| was_refused_for_others(known, model));
        let is_above = pool.quota.is_above(pool.usage(&login.account), now);
        let rank = (is_cooling, is_above, candidate.slot < chosen, candidate.slot);
        (may_serve && !is_refused && candidate.slot != chosen).then_some((rank, candidate.slot, login))
    });
    serving.min_by_key(|(rank, ..)| *rank).map(|(_, slot, login)| (slot, login))
}

/// Whether the cooldown of an account is a cap, and began with other models than this one.
fn was_refused_for_others(known: &AccountState, model: &str) -> bool {
    let is_capped = known.cooldown.as_ref().is_some_and(|cooldown| cooldown.kind == CooldownKind::UsageCap);
    is_capped && !known.refused_models.is_empty() && !known.refused_models.contains(model)
}
