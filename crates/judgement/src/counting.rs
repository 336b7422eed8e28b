//! Why another account serves than the one before, for the counters. Pure.

use records::counters::{Counters, RotationReason};
use records::state::{AccountState, CooldownKind};
use records::{AccountId, Lane, Timestamp};

use crate::plan::{Chosen, Plan, Reason, Why};
use crate::policy::{Policy, Purpose};
use crate::pool::{Availability, Pool};

/// Counts the rotations that a plan means, one for each lane that changes, before it is carried out.
pub fn count(counters: &mut Counters, pool: &Pool, plan: &Plan, policy: &Policy, now: Timestamp) {
    count_in(Lane::FIRST, plan.chosen.as_ref(), counters, pool, policy, now);
    for (lane, chosen) in &plan.lanes {
        count_in(*lane, Some(chosen), counters, pool, policy, now);
    }
}

fn count_in(
    lane: Lane,
    chosen: Option<&Chosen>,
    counters: &mut Counters,
    pool: &Pool,
    policy: &Policy,
    now: Timestamp,
) {
    let before = pool.in_use(lane).map(|active| active.account);
    if chosen.is_some_and(|chosen| before == Some(&chosen.login.account)) {
        return;
    }
    // A named slot that cannot be used says nothing of the other accounts.
    if chosen.is_none() && matches!(policy.purpose, Purpose::To(_)) {
        return;
    }
    let reason = match (policy.purpose, chosen.map(|chosen| chosen.why), before) {
        (Purpose::To(_), ..) => RotationReason::Operator,
        (_, Some(Why::Pinned), _) => RotationReason::Pinned,
        (_, _, None) => RotationReason::First,
        (purpose, _, Some(before)) => reason_of_previous(pool, before, now).unwrap_or(match purpose {
            Purpose::Tick => RotationReason::Tick,
            Purpose::Stay | Purpose::MoveOn | Purpose::To(_) => RotationReason::Signal,
        }),
    };
    counters.count_rotation(chosen.is_some(), reason);
}

/// Why the account that was in use no longer is, if the reason is its own state.
fn reason_of_previous(pool: &Pool, account: &AccountId, now: Timestamp) -> Option<RotationReason> {
    let Some(holder) = pool.holder(account) else { return Some(RotationReason::Unusable) };
    let AccountState { cooldown, .. } = pool.state.account_state(account);
    match pool.judge(holder, now) {
        Ok((_, Availability::Ready)) if pool.quota.is_above(pool.usage(account), now) => {
            Some(RotationReason::Threshold)
        }
        Ok((_, Availability::Ready)) => None,
        Ok((_, Availability::Cooling(_)))
            if cooldown.is_some_and(|cooldown| cooldown.kind == CooldownKind::Transient) =>
        {
            Some(RotationReason::Transient)
        }
        Ok((_, Availability::Cooling(_))) => Some(RotationReason::Capped),
        Err(Reason::Parked(_)) => Some(RotationReason::Parked),
        Err(_) => Some(RotationReason::Unusable),
    }
}
