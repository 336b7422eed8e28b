//! Which logins are to be refreshed now. Pure.

use std::time::Duration;

use records::counters::RefreshReason;
use records::grant::{Grant, GrantStatus};
use records::state::AccountState;
use records::{AccountId, Lane, Login, Slot, Timestamp};

use crate::candidate::Candidate;
use crate::interpret::Interpretation;
use crate::pool::Pool;

/// The age at which tokens without a known end are refreshed, as codex itself does it.
const OLDEST_TOKENS: Duration = Duration::from_hours(8 * 24);

/// How long a failed refresh is not repeated, however often signals ask for a pass.
pub(crate) const PAUSE_AFTER_FAILURE: Duration = Duration::from_mins(5);

/// The longest time for which a refresh that did not move the end of the access token is not repeated.
const LONGEST_PAUSE_IN_VAIN: Duration = Duration::from_hours(4);

/// How long after a request without an answer no other login is refreshed, unless it ends sooner. What sent it may only have
/// stood still, and go on; or the issuer is in trouble, and would leave one more grant in doubt at each pass.
const SETTLE_TIME: Duration = Duration::from_mins(10);

/// How many logins a pass refreshes at most: the others are due at the next one.
const MOST_PER_PASS: usize = 20;

/// A login to refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub slot: Slot,
    /// The grant to send. If the login has another one by then, it is not refreshed.
    pub grant: Grant,
    pub reason: RefreshReason,
}

/// The logins to refresh now: first the accounts in use, then accounts that were refused, then the others by when they end.
pub(crate) fn due(
    pool: &Pool,
    interpretation: &Interpretation,
    before: Duration,
    now: Timestamp,
) -> Vec<Due> {
    let in_use: Vec<_> = Lane::all().filter_map(|lane| Some(pool.in_use(lane)?.slot)).collect();
    let settled = settles_at(pool, now);
    let can_wait =
        |login: &Login| settled.is_some_and(|settled| login.expiry.is_none_or(|expiry| expiry.0 > settled));
    let mut due: Vec<_> = pool
        .slots
        .iter()
        .filter_map(|candidate| {
            let login = candidate.login.as_ref().ok()?;
            let is_refused = interpretation.to_refresh.contains(&login.account);
            let is_due = if is_refused {
                is_worth_it(pool, candidate, login, now)
            } else {
                is_due(pool, candidate, before, now) && !can_wait(login)
            };
            let rank = (!in_use.contains(&candidate.slot), !is_refused, login.expiry, candidate.slot);
            let reason = if is_refused { RefreshReason::Refused } else { RefreshReason::Expiring };
            is_due.then(|| (rank, Due { slot: candidate.slot, grant: login.grant(), reason }))
        })
        .collect();
    due.sort_unstable_by_key(|(rank, _)| *rank);
    due.into_iter().map(|(_, due)| due).take(MOST_PER_PASS).collect()
}

/// Until when a request without an answer keeps other logins from being refreshed.
fn settles_at(pool: &Pool, now: Timestamp) -> Option<Timestamp> {
    let sent = pool.slots.iter().filter_map(|candidate| candidate.grant.sent());
    // A marker that cannot be read does not say when that was, and one from the future was written by a wrong clock.
    let known = sent.filter(|marker| !marker.node.is_empty() && marker.since <= now);
    known.map(|marker| marker.since.plus(SETTLE_TIME)).filter(|at| *at > now).max()
}

/// Whether a login is to be refreshed because its end is near.
#[must_use]
pub fn is_due(pool: &Pool, candidate: &Candidate, before: Duration, now: Timestamp) -> bool {
    let Ok(login) = &candidate.login else { return false };
    is_near_its_end(login, before, now)
        && !is_in_vain(pool, login, now)
        && is_worth_it(pool, candidate, login, now)
}

fn is_worth_it(pool: &Pool, candidate: &Candidate, login: &Login, now: Timestamp) -> bool {
    let AccountState { parked, refresh_failed, .. } = pool.state.account_state(&login.account);
    login.refresh_token.is_some()
        && pool.holder(&login.account).is_some_and(|holder| holder.slot == candidate.slot)
        && pool.ended_by(candidate).is_none()
        && parked.is_none_or(|parked| parked.until.is_some())
        && match candidate.grant {
            GrantStatus::Good => true,
            // It may be used up: sending it once more could end every grant that came of the same login.
            GrantStatus::Unanswered(_) => !login.is_live(now),
            GrantStatus::WithIssuer(_) | GrantStatus::Ended(_) => false,
        }
        && refresh_failed.is_none_or(|failed| now.since(failed) >= PAUSE_AFTER_FAILURE)
}

/// Whether the last refresh of a login left it due, and was so short a time ago that another one would leave it due, too.
fn is_in_vain(pool: &Pool, login: &Login, now: Timestamp) -> bool {
    let AccountState { not_prolonged, .. } = pool.state.account_state(&login.account);
    let (Some(expiry), Some(last)) = (login.expiry, login.last_refresh) else { return false };
    let pause = (expiry.0.since(last) / 2).clamp(PAUSE_AFTER_FAILURE, LONGEST_PAUSE_IN_VAIN);
    not_prolonged == Some(login.grant()) && now.since(last) < pause
}

/// Whether a login's end is so near that it should be refreshed.
#[must_use]
pub fn is_near_its_end(login: &Login, before: Duration, now: Timestamp) -> bool {
    // Logins that were made together end together. A different share of the lead for each account spreads their refreshes.
    let most = before / 4;
    let spread = || most * spread_of(&login.account) / u32::from(u8::MAX);
    match login.expiry {
        // Most are far from their ends, and for them the share need not be known.
        Some(expiry) => expiry.0 <= now.plus(before + most) && expiry.0 <= now.plus(before + spread()),
        None => login.last_refresh.is_none_or(|last| now.since(last) >= OLDEST_TOKENS),
    }
}

/// A number up to 255 that is the same for an account each time, and another one for most others.
pub(crate) fn spread_of(account: &AccountId) -> u32 {
    account.to_string().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)).into()
}
