//! The judgement: which account is next. Pure: the pool, the policy and the time come in, a plan comes out.

use records::state::{Cooldown, CooldownKind, CooldownSource, ReportedPlan};
use records::{AccountId, Login, Slot, Timestamp};

use crate::plan::{Chosen, Plan, Reason, Why};
use crate::policy::{Order, Policy, Purpose};
use crate::pool::{Availability, InUse, Pool};
use crate::quota;

/// A slot that can be used, and its login.
type Usable<'a> = (Slot, &'a Login, Availability);

/// Chooses the account to use from `now` on.
#[must_use]
pub fn decide(pool: &Pool, policy: &Policy, now: Timestamp) -> Plan {
    let judged: Vec<_> = pool.slots.iter().map(|slot| (slot.slot, pool.judge(slot, now))).collect();
    let usable: Vec<Usable<'_>> = judged
        .iter()
        .filter_map(|(slot, judged)| {
            judged.as_ref().ok().map(|(login, availability)| (*slot, *login, *availability))
        })
        .collect();
    let active = pool.active();
    let picked = pick(pool, &usable, active, policy, now);
    let passed_over = judged.iter().filter_map(|(slot, judged)| match judged {
        Err(reason) => Some((*slot, reason.clone())),
        Ok(_) if picked.is_some_and(|(picked, ..)| picked == *slot) => None,
        Ok((_, Availability::Ready)) => Some((*slot, Reason::NotItsTurn)),
        Ok((login, Availability::Cooling(until))) => {
            let refused =
                Cooldown { until: *until, kind: CooldownKind::Refused, source: CooldownSource::Floor };
            let cooldown = pool.state.account_state(&login.account).cooldown.filter(|it| it.until == *until);
            Some((*slot, Reason::Cooling(cooldown.unwrap_or(refused))))
        }
    });
    Plan {
        passed_over: passed_over.collect(),
        placeholder: picked.is_none() && !pool.published.is_well_formed(),
        chosen: picked.map(|(slot, login, why)| Chosen {
            slot,
            login: login.clone(),
            since: active
                .filter(|active| *active.account == login.account)
                .and_then(|a| a.since)
                .unwrap_or(now),
            why,
        }),
    }
}

fn pick<'a>(
    pool: &Pool,
    usable: &[Usable<'a>],
    active: Option<InUse<'_>>,
    policy: &Policy,
    now: Timestamp,
) -> Option<(Slot, &'a Login, Why)> {
    let found = |why: Why| move |(slot, login, _): &Usable<'a>| (*slot, *login, why);
    if let Purpose::To(named) = policy.purpose {
        return usable.iter().find(|(slot, ..)| *slot == named).map(found(Why::Named));
    }
    let ready: Vec<Usable<'a>> =
        usable.iter().filter(|(.., availability)| *availability == Availability::Ready).copied().collect();
    let of = |account: &AccountId| ready.iter().find(|(_, login, _)| login.account == *account);
    if let Some(pinned) = pool.state.pin.as_ref().and_then(of) {
        return Some(found(Why::Pinned)(pinned));
    }
    let moves = match policy.purpose {
        Purpose::Tick => policy.order == Order::RoundRobin,
        Purpose::MoveOn => true,
        Purpose::Stay | Purpose::To(_) => false,
    };
    let better = better_than_active(pool, &ready, active, now);
    if let Some(active) = active.filter(|_| !moves && better.is_empty()).and_then(|active| of(active.account))
    {
        return Some(found(Why::StaysActive)(active));
    }
    let below = ready.iter().filter(|(_, login, _)| !pool.quota.is_above(pool.usage(&login.account), now));
    let below: Vec<_> = below.copied().collect();
    let candidates = [better, below, ready].into_iter().find(|candidates| !candidates.is_empty());
    next(pool, &candidates.unwrap_or_default(), active, policy.order, now).or_else(|| {
        let back = |(.., availability): &Usable<'a>| match availability {
            Availability::Ready => None,
            Availability::Cooling(until) => Some(*until),
        };
        let first = usable.iter().min_by_key(|usable| (back(usable), usable.0))?;
        Some(found(Why::BackFirst(back(first)?))(first))
    })
}

/// The accounts that are to serve instead of the one in use, though it could, because it is near its cap. None, if all
/// are near their caps.
fn better_than_active<'a>(
    pool: &Pool,
    ready: &[Usable<'a>],
    active: Option<InUse<'_>>,
    now: Timestamp,
) -> Vec<Usable<'a>> {
    let is_above = |active: &InUse<'_>| pool.quota.is_above(pool.usage(active.account), now);
    let Some(active) = active.filter(is_above) else { return Vec::new() };
    let has_room = |login: &Login| pool.quota.has_room(pool.usage(&login.account), now);
    let others = ready.iter().filter(|(_, login, _)| login.account != *active.account && has_room(login));
    others.copied().collect()
}

fn next<'a>(
    pool: &Pool,
    ready: &[Usable<'a>],
    active: Option<InUse<'_>>,
    order: Order,
    now: Timestamp,
) -> Option<(Slot, &'a Login, Why)> {
    let first = ready.first()?;
    let others =
        ready.iter().filter(|(_, login, _)| active.is_none_or(|active| *active.account != login.account));
    let ((slot, login, _), why) = match active {
        _ if ready.len() == 1 => (first, Why::OnlyUsable),
        _ if order == Order::EarliestReset => {
            // Usage that is not used before its window resets is lost. Accounts without a known reset come last.
            let reset = |login: &Login| pool.state.account_state(&login.account).next_reset;
            let soonest = others.min_by_key(|(slot, login, _)| (reset(login).is_none(), reset(login), *slot));
            (soonest.unwrap_or(first), Why::EarliestReset)
        }
        _ if order == Order::LeastUsed => {
            let used = |login: &Login| quota::used(pool.usage(&login.account), now);
            let least = others.min_by_key(|(slot, login, _)| (used(login), *slot));
            (least.unwrap_or(first), Why::LeastUsed)
        }
        _ if order == Order::Weighted => {
            let left = |login: &Login| {
                let reported = pool.state.accounts.get(&login.account).and_then(|known| known.plan.as_ref());
                let plan = reported.map(ReportedPlan::name).or(login.plan.as_deref());
                quota::left(pool.usage(&login.account), plan, now)
            };
            let most = others.max_by(|(a_slot, a, _), (b_slot, b, _)| {
                left(a).total_cmp(&left(b)).then(b_slot.cmp(a_slot))
            });
            (most.unwrap_or(first), Why::MostLeft)
        }
        None => (first, Why::First),
        Some(InUse { slot: from, .. }) => {
            (ready.iter().find(|(slot, ..)| *slot > from).unwrap_or(first), Why::NextAfter(from))
        }
    };
    Some((*slot, *login, why))
}

#[cfg(test)]
mod tests;
