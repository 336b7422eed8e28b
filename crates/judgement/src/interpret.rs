//! What signals mean: whom each is about, and what it changes. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use records::grant::GrantStatus;
use records::signal::{Refusal, Signal};
use records::state::{AccountState, Cooldown, CooldownKind, CooldownSource, NeedsLogin, Refusals};
use records::{AccountId, Login, Timestamp};

use crate::candidate::Candidate;
use crate::cooldown::{REST, cooldown, merged};
use crate::phrases::{capped, needs_login};
use crate::policy::Floors;
use crate::pool::{InUse, Pool};

/// How long requests may be under way that were made with a token from before a refresh.
const UNDER_WAY: Duration = Duration::from_mins(1);

/// How long at the most.
const LONGEST_REST: Duration = Duration::from_hours(6);

/// A refusal so long after the last one is the first again.
const FORGOTTEN: Duration = Duration::from_hours(24);

/// What the signals of one pass came to.
#[derive(Debug, Default)]
pub struct Interpretation {
    /// The pool after them.
    pub account_states: Vec<(AccountId, AccountState)>,
    /// Whether any came: else the pass is a tick.
    pub called: bool,
    /// Whether somebody asked for another account, whichever is in use.
    pub move_on: bool,
    /// Accounts whose access token was refused, and that are worth a refresh.
    pub refused: BTreeSet<AccountId>,
    /// A line for the log about each thing that happened.
    pub said: Vec<String>,
}

/// Takes the signals in, one after the other.
#[must_use]
pub fn interpret(pool: &Pool, signals: &[Signal], floors: Floors, now: Timestamp) -> Interpretation {
    let mut interpretation = Interpretation { called: !signals.is_empty(), ..Interpretation::default() };
    let active = pool.active();
    for signal in signals {
        interpretation.take(pool, active, signal, floors, now);
    }
    interpretation
}

impl Interpretation {
    fn take(
        &mut self,
        pool: &Pool,
        active: Option<InUse<'_>>,
        signal: &Signal,
        floors: Floors,
        now: Timestamp,
    ) {
        match signal {
            Signal::AccountsChanged => {}
            Signal::Served { account } => self.serves_again(pool, account, now),
            Signal::Refused { at, account, refusal } => match whom(pool, active, account) {
                Some(candidate) => self.refused(pool, candidate, *at, refusal, floors, now),
                None => {
                    self.said.push(format!("a signal about {account}, which no slot holds: nothing to do"));
                }
            },
            Signal::RotateNow { at, .. } | Signal::Unreadable { at }
                if active.and_then(|active| active.stale_before).is_some_and(|stale| *at < stale) =>
            {
                self.said.push("a signal from before this account was in use: nothing to do".to_owned());
            }
            Signal::RotateNow { at, refusal: Some(refusal) } => {
                match active.and_then(|active| pool.holder(active.account)) {
                    Some(candidate) => self.refused(pool, candidate, *at, refusal, floors, now),
                    None => self.move_on = true,
                }
            }
            Signal::RotateNow { refusal: None, .. } | Signal::Unreadable { .. } => self.move_on = true,
        }
    }

    fn refused(
        &mut self,
        pool: &Pool,
        candidate: &Candidate,
        at: Timestamp,
        refusal: &Refusal,
        floors: Floors,
        now: Timestamp,
    ) {
        let Ok(login) = &candidate.login else { return };
        let slot = candidate.slot;
        let mut account_state = self.account_state(pool, &login.account);
        account_state.next_reset = refusal.next_reset.or(account_state.next_reset);
        account_state.usage = refusal.usage.clone().or(account_state.usage);
        account_state.plan = refusal.plan.clone().or(account_state.plan);
        if refusal.status == 401 {
            let rests = account_state.cooldown.as_ref().is_some_and(|cooldown| cooldown.until > now);
            if is_of_an_old_token(login, refusal, at) {
                self.said.push(format!("{slot}: a 401 of a token that was renewed since: nothing to do"));
            } else if let Some(code) = pool.ended_by(candidate) {
                let grant = login.grant();
                let dead = account_state.needs_login.take().filter(|dead| dead.grant == grant);
                if !dead.as_ref().is_some_and(|dead| dead.token_refused) {
                    self.said.push(needs_login(slot, &code));
                }
                let since = dead.map_or(now, |dead| dead.since);
                account_state.needs_login = Some(NeedsLogin { grant, since, code, token_refused: true });
            } else if may_be_refreshed(candidate, login, &account_state) {
                self.refused.insert(login.account.clone());
                account_state.refreshing_after_401 = Some(login.grant());
            } else if !rests {
                let (refused, cooldown) = refused_again(account_state.refusals, now);
                self.said.push(format!("{}: its access token was refused", capped(slot, &cooldown)));
                (account_state.refusals, account_state.cooldown) = (Some(refused), Some(cooldown));
            }
        } else if let Some(new) = cooldown(refusal, at, floors, now) {
            let cooldown = merged(account_state.cooldown.as_ref(), new, now);
            if account_state.cooldown.as_ref() != Some(&cooldown) {
                self.said.push(capped(slot, &cooldown));
            }
            account_state.cooldown = Some(cooldown);
        }
        self.set(&login.account, account_state);
    }

    fn serves_again(&mut self, pool: &Pool, account: &AccountId, now: Timestamp) {
        let Some(candidate) = whom(pool, None, account) else { return };
        let Ok(login) = &candidate.login else { return };
        let mut account_state = self.account_state(pool, &login.account);
        account_state.refusals = None;
        // Seldom: signals may lie, and each refusal after this one is worth a refresh again.
        if login.last_refresh.is_none_or(|last| now.since(last) >= REST) {
            account_state.refreshed_after_401 = None;
        }
        if account_state.cooldown.take().is_some() {
            self.said.push(format!("{} serves again: its cooldown is over", candidate.slot));
        }
        self.set(&login.account, account_state);
    }

    fn account_state(&self, pool: &Pool, account: &AccountId) -> AccountState {
        let changed = self.account_states.iter().find(|(known, _)| known == account);
        changed.map_or_else(|| pool.state.account_state(account), |(_, account_state)| account_state.clone())
    }

    fn set(&mut self, account: &AccountId, account_state: AccountState) {
        self.account_states.retain(|(known, _)| known != account);
        self.account_states.push((account.clone(), account_state));
    }
}

/// Whether a refused access token is worth a refresh: once for each grant.
fn may_be_refreshed(candidate: &Candidate, login: &Login, account_state: &AccountState) -> bool {
    login.refresh_token.is_some()
        && account_state.refreshed_after_401.as_ref() != Some(&login.grant())
        && matches!(candidate.grant, GrantStatus::Good | GrantStatus::WithIssuer(_))
}

/// The rest of an account whose access token is refused and is not worth a refresh. Only the issuer ends a grant, so it
/// is tried again, after pauses that grow while it is refused each time.
fn refused_again(before: Option<Refusals>, now: Timestamp) -> (Refusals, Cooldown) {
    let before = before.filter(|refused| now.since(refused.at) < FORGOTTEN);
    let times = before.map_or(1, |refused| refused.times.saturating_add(1));
    let pause = REST.saturating_mul(1_u32.checked_shl(times - 1).unwrap_or(u32::MAX)).min(LONGEST_REST);
    let cooldown =
        Cooldown { until: now.plus(pause), kind: CooldownKind::Refused, source: CooldownSource::Floor };
    (Refusals { times, at: now }, cooldown)
}

/// Requests that were under way with the old token are refused after the new one is there; they must not cost a
/// good login. A signal that does not say which token was refused is believed once they must be over.
fn is_of_an_old_token(login: &Login, refusal: &Refusal, at: Timestamp) -> bool {
    match &refusal.token {
        Some(token) => *token != login.access_token.fingerprint(),
        None => login.last_refresh.is_some_and(|renewed| renewed.plus(UNDER_WAY) > at),
    }
}

/// The slot that a signal is about. Two seats of a workspace share the account id: without a user, the one in
/// use is meant, and if that is another account, the only one that it can be.
fn whom<'a>(pool: &'a Pool, active: Option<InUse<'_>>, named: &AccountId) -> Option<&'a Candidate> {
    let fits = |account: &AccountId| {
        account.account_id == named.account_id
            && (named.user_id.is_none() || account.user_id == named.user_id)
    };
    if let Some(active) = active.filter(|active| fits(active.account)) {
        return pool.holder(active.account);
    }
    let mut fitting =
        pool.slots.iter().filter(|slot| slot.login.as_ref().is_ok_and(|login| fits(&login.account)));
    let first = fitting.next()?;
    let same = |slot: &Candidate| match (&slot.login, &first.login) {
        (Ok(a), Ok(b)) => a.account == b.account,
        _ => false,
    };
    let only = first.login.as_ref().ok().filter(|_| fitting.all(same))?;
    pool.holder(&only.account)
}
