//! What readings of usage change: what is known of each account, and how fast the pool's windows are used up.

use records::Timestamp;
use records::readings::Reading;

use crate::pool::Pool;

/// Takes readings in. One that is older than what is known says nothing.
pub fn take_readings<'a>(pool: &mut Pool, readings: impl IntoIterator<Item = &'a Reading>) {
    for reading in readings {
        let Some(account) = pool
            .named(pool.active(), &reading.account)
            .and_then(|candidate| candidate.login.as_ref().ok().map(|login| login.account.clone()))
        else {
            continue;
        };
        let known = pool.state.accounts.entry(account).or_default();
        let is_news = |at: Timestamp| reading.at > at;
        if let Some(usage) = &reading.limits.own
            && known.usage.as_ref().is_none_or(|before| is_news(before.at))
        {
            pool.state.consumption.add(known.usage.as_ref(), usage);
            known.next_reset = usage.windows.iter().filter_map(|window| window.resets_at).min();
            known.usage = Some(usage.clone());
        }
        for (family, usage) in &reading.limits.families {
            if known.families.get(family).is_none_or(|before| is_news(before.at)) {
                known.families.insert(family.clone(), usage.clone());
            }
        }
        if let Some(plan) = &reading.plan
            && known.plan.as_ref().is_none_or(|before| is_news(before.at()))
        {
            known.plan = Some(plan.clone());
        }
    }
}
