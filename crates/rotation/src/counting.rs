//! Why another account serves than before, for the counters. Pure.

use auth_volume::counters::{Cause, Counters};
use auth_volume::state::{Kind, Standing};
use auth_volume::{AccountId, Timestamp};

use crate::decide::{Plan, Policy, Purpose, Reason, Use, Why, World};

/// Counts what a plan comes to, before it is carried out.
pub(crate) fn count(counters: &mut Counters, world: &World, plan: &Plan, policy: Policy, now: Timestamp) {
    let before = world.active().map(|active| active.account);
    let chosen = plan.chosen.as_ref();
    if chosen.is_some_and(|chosen| before == Some(&chosen.login.account)) {
        return;
    }
    // Another slot might have done: a name that cannot be had says nothing of the accounts.
    if chosen.is_none() && matches!(policy.purpose, Purpose::To(_)) {
        return;
    }
    let cause = match (policy.purpose, chosen.map(|chosen| chosen.why), before) {
        (Purpose::To(_), ..) => Cause::Asked,
        (_, Some(Why::Pinned), _) => Cause::Pinned,
        (_, _, None) => Cause::First,
        (purpose, _, Some(before)) => of_the_one_before(world, before, now).unwrap_or(match purpose {
            Purpose::Tick => Cause::Tick,
            Purpose::Look | Purpose::MoveOn | Purpose::To(_) => Cause::Called,
        }),
    };
    counters.rotated(chosen.is_some(), cause);
}

/// Why the account that was in use is not, if it is its own fault.
fn of_the_one_before(world: &World, account: &AccountId, now: Timestamp) -> Option<Cause> {
    let Some(holder) = world.holder(account) else { return Some(Cause::Unusable) };
    let Standing { cooldown, .. } = world.state.standing(account);
    match world.judge(holder, now) {
        Ok((_, Use::Ready)) => None,
        Ok((_, Use::Cooling(_))) if cooldown.is_some_and(|cooldown| cooldown.kind == Kind::Transient) => {
            Some(Cause::Resting)
        }
        Ok((_, Use::Cooling(_))) => Some(Cause::Capped),
        Err(Reason::Parked(_)) => Some(Cause::Parked),
        Err(_) => Some(Cause::Unusable),
    }
}
