//! Which accounts the provider's usage endpoint is asked about: those of which nothing has been read for a while.

use std::time::Duration;

use records::state::PollPause;
use records::{AccountId, Slot, Timestamp};

use crate::due::spread_of;
use crate::pool::Pool;

/// How often the endpoint may be asked about an account at the most: the provider limits it, too.
pub const SHORTEST_INTERVAL: Duration = Duration::from_mins(5);

/// The pause after the endpoint has refused to answer; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_mins(15);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// How many accounts a pass asks about at the most; the others are asked about by the next ones.
const MOST: usize = 5;

/// The slots to ask about, those whose last reading is oldest first.
#[must_use]
pub fn due(pool: &Pool, interval: Duration, now: Timestamp) -> Vec<Slot> {
    let interval = interval.max(SHORTEST_INTERVAL);
    let mut due: Vec<_> = pool
        .slots
        .iter()
        .filter_map(|candidate| {
            let login = candidate.login.as_ref().ok().filter(|login| login.is_live(now))?;
            let holder = pool.holder(&login.account)?;
            let known = pool.state.account_state(&login.account);
            let read_at = known.usage.as_ref().map(|usage| usage.at);
            let is_due =
                read_at.is_none_or(|at| now.since(at) >= interval + jitter(&login.account, interval));
            let is_paused = known.usage_poll.is_some_and(|pause| pause.until > now);
            let is_asked =
                holder.slot == candidate.slot && known.needs_login.is_none() && is_due && !is_paused;
            is_asked.then_some((read_at, candidate.slot))
        })
        .collect();
    due.sort_unstable();
    due.into_iter().map(|(_, slot)| slot).take(MOST).collect()
}

/// The pause after one more refusal to answer.
#[must_use]
pub fn paused(before: Option<PollPause>, now: Timestamp) -> PollPause {
    let times = before.map_or(1, |before| before.times.saturating_add(1));
    let doublings = 1_u32.checked_shl(times - 1).unwrap_or(u32::MAX);
    PollPause { times, until: now.plus(FIRST_PAUSE.saturating_mul(doublings).min(LONGEST_PAUSE)) }
}

/// Up to a tenth more, the same for an account each time, so that a pool does not ask about all at once.
fn jitter(account: &AccountId, interval: Duration) -> Duration {
    interval / 10 * spread_of(account) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use records::grant::GrantStatus;
    use records::published::PublishedRecord;
    use records::state::State;
    use records::usage::{Minutes, Percent, Usage, Window};
    use records::{Expiry, Login, Secret};

    use super::*;
    use crate::candidate::Candidate;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000_000 + 60 * minutes)
    }

    fn pool(names: &[&str]) -> Pool {
        let slots = (1_u32..).zip(names).map(|(number, name)| {
            let mut login = Login::from_tokens(Secret::new("at"), None, None, Some(name)).unwrap();
            login.expiry = Some(Expiry(at(10_000)));
            let slot = number.to_string().parse().unwrap();
            Candidate { slot, login: Ok(login), grant: GrantStatus::Good, is_stored: true }
        });
        Pool::new(slots.collect(), State::default(), PublishedRecord::Missing)
    }

    fn read(pool: &mut Pool, name: &str, minute: i64) {
        let window =
            Window { minutes: Minutes::WEEK, used_percent: Percent::new(1.0).unwrap(), resets_at: None };
        let account = AccountId { account_id: name.to_owned(), user_id: None };
        pool.state.accounts.entry(account).or_default().usage = Usage::reported(at(minute), [window]);
    }

    fn numbers(pool: &Pool, every: u64, minute: i64) -> Vec<u32> {
        let due = due(pool, Duration::from_mins(every), at(minute));
        due.into_iter().map(Slot::number).collect()
    }

    #[test]
    fn the_accounts_of_which_nothing_was_read_for_longest_are_asked_about_first() {
        let mut pool = pool(&["a", "b", "c", "d"]);
        read(&mut pool, "a", 0);
        read(&mut pool, "b", -30);
        read(&mut pool, "c", 55);
        assert_eq!(numbers(&pool, 10, 60), [4, 2, 1]);
    }

    #[test]
    fn no_account_is_asked_about_more_often_than_every_five_minutes() {
        let mut pool = pool(&["a"]);
        read(&mut pool, "a", 0);
        assert_eq!(numbers(&pool, 0, 4), [0; 0]);
        assert_eq!(numbers(&pool, 0, 6), [1]);
    }

    #[test]
    fn an_endpoint_that_refuses_is_left_alone_for_longer_each_time() {
        let mut pool = pool(&["a"]);
        let pause = paused(None, at(0));
        assert_eq!(pause.until, at(15));
        let account = AccountId { account_id: "a".to_owned(), user_id: None };
        pool.state.accounts.entry(account).or_default().usage_poll = Some(pause);
        assert_eq!(numbers(&pool, 5, 14), [0; 0]);
        assert_eq!(numbers(&pool, 5, 15), [1]);
        assert_eq!(paused(Some(pause), at(15)).until, at(45));
        let longest = paused(Some(PollPause { times: 40, until: at(0) }), at(0));
        assert_eq!(longest.until, at(24 * 60));
    }

    #[test]
    fn a_pass_asks_about_a_few() {
        assert_eq!(numbers(&pool(&["a", "b", "c", "d", "e", "f", "g"]), 5, 0).len(), MOST);
    }
}
