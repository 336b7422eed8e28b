//! The judgement: which account is next, in each lane. Pure: the pool, the policy and the time come in, a plan comes out.
//!
//! A lane keeps its account for as long as that can serve. It gets another one if its account is refused, ended or parked,
//! is near its cap while another has room, or makes way for an operator's choice; or if it shares its account with a lane
//! that had it before, and a free one has room. With one lane, the order may move it at each tick as well.

use std::collections::{BTreeMap, BTreeSet};

use records::state::{Cooldown, CooldownKind, CooldownSource, ReportedPlan};
use records::{AccountId, Lane, LaneCount, Login, Slot, Timestamp};

use crate::plan::{Chosen, Plan, Reason, Why};
use crate::policy::{Order, Policy, Purpose};
use crate::pool::{Availability, InUse, Pool};
use crate::quota;

/// A slot that can be used, and its login.
type Usable<'a> = (Slot, &'a Login, Availability);

/// A slot that was chosen, its login, and why.
type Picked<'a> = (Slot, &'a Login, Why);

/// Chooses the accounts to use from `now` on.
#[must_use]
pub fn decide(pool: &Pool, policy: &Policy, now: Timestamp) -> Plan {
    let judged: Vec<_> = pool.slots.iter().map(|slot| (slot.slot, pool.judge(slot, now))).collect();
    let usable: Vec<Usable<'_>> = judged
        .iter()
        .filter_map(|(slot, judged)| {
            judged.as_ref().ok().map(|(login, availability)| (*slot, *login, *availability))
        })
        .collect();
    let picked = Choice::new(pool, &usable, policy, now).pick();
    let chosen: BTreeSet<Slot> = picked.values().map(|(slot, ..)| *slot).collect();
    let passed_over = judged.iter().filter_map(|(slot, judged)| match judged {
        Err(reason) => Some((*slot, reason.clone())),
        Ok(_) if chosen.contains(slot) => None,
        Ok((_, Availability::Ready)) => Some((*slot, Reason::NotItsTurn)),
        Ok((login, Availability::Cooling(until))) => {
            let refused =
                Cooldown { until: *until, kind: CooldownKind::Refused, source: CooldownSource::Floor };
            let cooldown = pool.state.account_state(&login.account).cooldown.filter(|it| it.until == *until);
            Some((*slot, Reason::Cooling(cooldown.unwrap_or(refused))))
        }
    });
    let passed_over = passed_over.collect();
    let mut lanes: BTreeMap<_, _> = picked
        .into_iter()
        .map(|(lane, (slot, login, why))| {
            let before = pool.in_use(lane).filter(|active| *active.account == login.account);
            let since = before.and_then(|active| active.since).unwrap_or(now);
            (lane, Chosen { slot, login: login.clone(), since, why })
        })
        .collect();
    let chosen = lanes.remove(&Lane::FIRST);
    let placeholder = chosen.is_none() && !pool.published.is_well_formed();
    Plan { chosen, lanes, passed_over, placeholder }
}

/// What the lanes are chosen by.
struct Choice<'a> {
    pool: &'a Pool,
    usable: &'a [Usable<'a>],
    /// Those without a cooldown.
    ready: Vec<Usable<'a>>,
    policy: &'a Policy,
    now: Timestamp,
}

impl<'a> Choice<'a> {
    fn new(pool: &'a Pool, usable: &'a [Usable<'a>], policy: &'a Policy, now: Timestamp) -> Self {
        let ready = usable.iter().filter(|(.., availability)| *availability == Availability::Ready).copied();
        Self { pool, usable, ready: ready.collect(), policy, now }
    }

    /// The account of each lane. There is none if an operator names a slot that cannot be used, or none can be.
    fn pick(&self) -> BTreeMap<Lane, Picked<'a>> {
        let wanted = self.wanted();
        if wanted.is_none() && matches!(self.policy.purpose, Purpose::To(_)) {
            return BTreeMap::new();
        }
        let mut serving = self.keeping(wanted);
        let mut picked: BTreeMap<_, _> = wanted.into_iter().map(|wanted| (Lane::FIRST, wanted)).collect();
        for lane in self.policy.lanes.lanes() {
            if let Some(next) = picked.get(&lane).copied().or_else(|| self.pick_for(lane, &serving)) {
                serving.insert(lane, &next.1.account);
                picked.insert(lane, next);
            }
        }
        picked
    }

    /// What an operator wants in the first lane, if it can be.
    fn wanted(&self) -> Option<Picked<'a>> {
        if let Purpose::To(named) = self.policy.purpose {
            let named = self.usable.iter().find(|(slot, ..)| *slot == named);
            return named.map(|(slot, login, _)| (*slot, *login, Why::Named));
        }
        let (slot, login, _) = self.ready_of(self.pool.state.pin.as_ref()?)?;
        Some((slot, login, Why::Pinned))
    }

    /// The lanes whose accounts can go on serving, each account in the lane that has had it for longest.
    fn keeping(&self, wanted: Option<Picked<'a>>) -> BTreeMap<Lane, &'a AccountId> {
        let mut keeping: BTreeMap<_, _> =
            wanted.into_iter().map(|(_, login, _)| (Lane::FIRST, &login.account)).collect();
        let mut lanes: Vec<_> = self.policy.lanes.lanes().collect();
        lanes.sort_by_key(|lane| self.pool.in_use(*lane).and_then(|active| active.since));
        for lane in lanes {
            if let Some(active) = self.pool.in_use(lane)
                && let Some((_, login, _)) = self.ready_of(active.account)
                && !keeping.contains_key(&lane)
                && !keeping.values().any(|kept| *kept == active.account)
            {
                keeping.insert(lane, &login.account);
            }
        }
        keeping
    }

    fn pick_for(&self, lane: Lane, serving: &BTreeMap<Lane, &AccountId>) -> Option<Picked<'a>> {
        let active = self.pool.in_use(lane);
        let here = active.and_then(|active| self.ready_of(active.account));
        let in_other_lanes = |account: &AccountId| {
            serving.iter().filter(|(other, held)| **other != lane && **held == account).count()
        };
        let free = |(_, login, _): &Usable<'a>| in_other_lanes(&login.account) == 0;
        let ready = &self.ready;
        let better = self.better_than(active);
        if let Some((slot, login, _)) = here.filter(|_| !self.moves_on(lane, here, free)) {
            let is_shared = in_other_lanes(&login.account) > 0;
            let candidates = first_of(&[
                &|| only(&better, free),
                &|| only(ready, |usable| is_shared && free(usable) && self.has_room(usable.1)),
                &|| least(&better, in_other_lanes),
            ]);
            return self.next(&candidates, active).or(Some((slot, login, Why::StaysActive)));
        }
        let is_above = |login: &Login| self.pool.quota.is_above(self.pool.usage(&login.account), self.now);
        let below = only(ready, |(_, login, _)| !is_above(login));
        let candidates = first_of(&[
            &|| only(&better, free),
            &|| only(&below, free),
            &|| least(&below, in_other_lanes),
            &|| only(ready, free),
            &|| least(ready, in_other_lanes),
        ]);
        self.next(&candidates, active).or_else(|| self.back_first())
    }

    /// Whether a lane is to have another account, though its own could serve.
    fn moves_on(&self, lane: Lane, here: Option<Usable<'a>>, free: impl Fn(&Usable<'a>) -> bool) -> bool {
        let is_only = self.policy.lanes == LaneCount::ONE;
        let is_asked_to = match self.policy.purpose {
            Purpose::Tick => is_only && self.policy.order == Order::RoundRobin,
            Purpose::MoveOn => lane == Lane::FIRST,
            Purpose::Stay | Purpose::To(_) => false,
        };
        // To take another lane's account would only make that one move as well.
        let is_other = |usable: &Usable<'a>| here.is_none_or(|here| here.0 != usable.0);
        is_asked_to && (is_only || self.ready.iter().any(|usable| free(usable) && is_other(usable)))
    }

    fn ready_of(&self, account: &AccountId) -> Option<Usable<'a>> {
        self.ready.iter().find(|(_, login, _)| login.account == *account).copied()
    }

    fn has_room(&self, login: &Login) -> bool {
        self.pool.quota.has_room(self.pool.usage(&login.account), self.now)
    }

    /// The accounts that are to serve instead of the one in use, though it could, because it is near its cap. None, if all
    /// are near their caps.
    fn better_than(&self, active: Option<InUse<'_>>) -> Vec<Usable<'a>> {
        let is_above =
            |active: &InUse<'_>| self.pool.quota.is_above(self.pool.usage(active.account), self.now);
        let Some(active) = active.filter(is_above) else { return Vec::new() };
        only(&self.ready, |(_, login, _)| login.account != *active.account && self.has_room(login))
    }

    /// The account that comes back first when all have a cooldown.
    fn back_first(&self) -> Option<Picked<'a>> {
        let back = |(.., availability): &Usable<'a>| match availability {
            Availability::Ready => None,
            Availability::Cooling(until) => Some(*until),
        };
        let first = self.usable.iter().min_by_key(|usable| (back(usable), usable.0))?;
        Some((first.0, first.1, Why::BackFirst(back(first)?)))
    }

    /// Which of these accounts is next.
    fn next(&self, ready: &[Usable<'a>], active: Option<InUse<'_>>) -> Option<Picked<'a>> {
        let first = ready.first()?;
        let others =
            ready.iter().filter(|(_, login, _)| active.is_none_or(|active| *active.account != login.account));
        let ((slot, login, _), why) = match active {
            _ if self.ready.len() == 1 => (first, Why::OnlyUsable),
            _ if self.policy.order == Order::EarliestReset => {
                // Usage that is not used before its window resets is lost. Accounts without a known reset come last.
                let reset = |login: &Login| self.pool.state.account_state(&login.account).next_reset;
                let soonest =
                    others.min_by_key(|(slot, login, _)| (reset(login).is_none(), reset(login), *slot));
                (soonest.unwrap_or(first), Why::EarliestReset)
            }
            _ if self.policy.order == Order::LeastUsed => {
                let used = |login: &Login| quota::used(self.pool.usage(&login.account), self.now);
                let least = others.min_by_key(|(slot, login, _)| (used(login), *slot));
                (least.unwrap_or(first), Why::LeastUsed)
            }
            _ if self.policy.order == Order::Weighted => {
                let left = |login: &Login| {
                    let reported =
                        self.pool.state.accounts.get(&login.account).and_then(|known| known.plan.as_ref());
                    let plan = reported.map(ReportedPlan::name).or(login.plan.as_deref());
                    quota::left(self.pool.usage(&login.account), plan, self.now)
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
}

fn only<'a>(usable: &[Usable<'a>], is: impl Fn(&Usable<'a>) -> bool) -> Vec<Usable<'a>> {
    usable.iter().filter(|usable| is(usable)).copied().collect()
}

/// Those that serve in the fewest lanes.
fn least<'a>(usable: &[Usable<'a>], lanes: impl Fn(&AccountId) -> usize) -> Vec<Usable<'a>> {
    let fewest = usable.iter().map(|(_, login, _)| lanes(&login.account)).min();
    only(usable, |(_, login, _)| Some(lanes(&login.account)) == fewest)
}

fn first_of<'a>(lists: &[&dyn Fn() -> Vec<Usable<'a>>]) -> Vec<Usable<'a>> {
    lists.iter().map(|list| list()).find(|list| !list.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
