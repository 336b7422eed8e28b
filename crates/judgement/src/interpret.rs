//! What signals mean: which account each is about, and what it changes. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use records::grant::GrantStatus;
use records::signal::{Refusal, Signal};
use records::state::{AccountState, Cooldown, CooldownKind, CooldownSource, NeedsLogin, Refusals};
use records::{AccountId, Login, Timestamp};

use crate::candidate::Candidate;
use crate::cooldown::{REFUSED_COOLDOWN, cooldown, merged};
use crate::phrases::{capped, capped_for, needs_login};
use crate::policy::Floors;
use crate::pool::{InUse, Pool};

/// How long after a refresh requests with the old token may still be under way.
const LONGEST_REQUEST: Duration = Duration::from_mins(1);

/// The longest cooldown of an account whose access token is refused each time.
const LONGEST_REFUSED_COOLDOWN: Duration = Duration::from_hours(6);

/// A refusal this long after the previous one counts as the first again.
const REFUSALS_COUNT_FOR: Duration = Duration::from_hours(24);

/// What the signals of one pass come to.
#[derive(Debug, Default)]
pub struct Interpretation {
    /// The accounts of which something else is known after the signals.
    pub account_states: Vec<(AccountId, AccountState)>,
    /// Whether there was any signal: otherwise the pass is a tick.
    pub has_signals: bool,
    /// Whether a signal asks for another account, whichever is in use.
    pub move_on: bool,
    /// The accounts whose access token was refused, and for which a refresh is worth trying.
    pub to_refresh: BTreeSet<AccountId>,
    /// A line for the log about each event.
    pub lines: Vec<String>,
}

/// Interprets signals in their order.
#[must_use]
pub fn interpret(pool: &Pool, signals: &[Signal], floors: Floors, now: Timestamp) -> Interpretation {
    let mut interpreter = Interpreter { pool, active: pool.active(), floors, now, result: <_>::default() };
    for signal in signals {
        interpreter.add(signal);
    }
    Interpretation { has_signals: !signals.is_empty(), ..interpreter.result }
}

struct Interpreter<'a> {
    pool: &'a Pool,
    active: Option<InUse<'a>>,
    floors: Floors,
    now: Timestamp,
    result: Interpretation,
}

impl Interpreter<'_> {
    fn add(&mut self, signal: &Signal) {
        match signal {
            // Readings are taken in before signals are interpreted.
            Signal::AccountsChanged | Signal::UsageRead(_) => {}
            Signal::Served { account, model } => self.serves_again(account, model.as_deref()),
            Signal::Refused { at, account, refusal } => match self.pool.named(self.active, account) {
                Some(candidate) => self.refused(candidate, *at, refusal),
                None => self.log(format!("a signal about {account}, which no slot holds: nothing to do")),
            },
            Signal::RotateNow { at, .. } | Signal::Unreadable { at }
                if self.active.and_then(|active| active.stale_before).is_some_and(|stale| *at < stale) =>
            {
                self.log("a signal from before this account was in use: nothing to do".to_owned());
            }
            Signal::RotateNow { at, refusal: Some(refusal) } => {
                match self.active.and_then(|active| self.pool.holder(active.account)) {
                    Some(candidate) => self.refused(candidate, *at, refusal),
                    None => self.result.move_on = true,
                }
            }
            Signal::RotateNow { refusal: None, .. } | Signal::Unreadable { .. } => self.result.move_on = true,
        }
    }

    fn refused(&mut self, candidate: &Candidate, at: Timestamp, refusal: &Refusal) {
        let Ok(login) = &candidate.login else { return };
        let mut account_state = self.account_state(&login.account);
        account_state.next_reset = refusal.next_reset.or(account_state.next_reset);
        account_state.usage = refusal.usage.clone().or(account_state.usage);
        account_state.plan = refusal.plan.clone().or(account_state.plan);
        account_state.families.extend(refusal.families.clone());
        if refusal.status == 401 {
            self.token_refused(candidate, login, at, refusal, &mut account_state);
        } else if refusal.status == 402 {
            self.workspace_refused(candidate, &mut account_state);
        } else if let Some(model) = refusal.model.as_ref().filter(|_| refusal.is_of_model) {
            self.model_refused(candidate, model, at, refusal, &mut account_state);
        } else if let Some(new) = cooldown(refusal, at, self.floors, self.now) {
            let cooldown = merged(account_state.cooldown.as_ref(), new, self.now);
            if account_state.cooldown.as_ref() != Some(&cooldown) {
                self.log(capped(candidate.slot, &cooldown));
            }
            if account_state.cooldown.is_none_or(|old| old.until <= self.now) {
                account_state.refused_models.clear();
            }
            account_state.refused_models.extend(refusal.model.clone());
            account_state.cooldown = Some(cooldown);
        }
        self.set_account_state(&login.account, account_state);
    }

    fn token_refused(
        &mut self,
        candidate: &Candidate,
        login: &Login,
        at: Timestamp,
        refusal: &Refusal,
        account_state: &mut AccountState,
    ) {
        let slot = candidate.slot;
        let is_cooling = account_state.cooldown.as_ref().is_some_and(|cooldown| cooldown.until > self.now);
        if is_of_an_old_token(login, refusal, at) {
            self.log(format!("{slot}: a 401 of a token that has been refreshed since: nothing to do"));
        } else if let Some(code) = self.pool.ended_by(candidate) {
            let grant = login.grant();
            let known = account_state.needs_login.take().filter(|known| known.grant == grant);
            if !known.as_ref().is_some_and(|known| known.token_refused) {
                self.log(needs_login(slot, &code));
            }
            let since = known.map_or(self.now, |known| known.since);
            account_state.needs_login = Some(NeedsLogin { grant, since, code, token_refused: true });
        } else if may_be_refreshed(candidate, login, account_state) {
            self.result.to_refresh.insert(login.account.clone());
            account_state.refreshing_after_401 = Some(login.grant());
        } else if !is_cooling {
            let (refusals, cooldown) = refused_again(account_state.refusals, self.now);
            self.log(format!("{}: its access token was refused", capped(slot, &cooldown)));
            (account_state.refusals, account_state.cooldown) = (Some(refusals), Some(cooldown));
        }
    }

    /// A workspace that was deactivated is tried again, as a refused token is: it may be paid for again.
    fn workspace_refused(&mut self, candidate: &Candidate, account_state: &mut AccountState) {
        if account_state.cooldown.as_ref().is_some_and(|cooldown| cooldown.until > self.now) {
            return;
        }
        let (refusals, cooldown) = refused_again(account_state.refusals, self.now);
        self.log(format!("{}: its workspace is deactivated", capped(candidate.slot, &cooldown)));
        (account_state.refusals, account_state.cooldown) = (Some(refusals), Some(cooldown));
    }

    /// An account that is refused for one model serves the others.
    fn model_refused(
        &mut self,
        candidate: &Candidate,
        model: &str,
        at: Timestamp,
        refusal: &Refusal,
        account_state: &mut AccountState,
    ) {
        let Some(new) = cooldown(refusal, at, self.floors, self.now) else { return };
        // A plan without the model does not get it within minutes.
        let is_not_in_the_plan = refusal.status == 400;
        let until = if is_not_in_the_plan { self.now.plus(self.floors.cap) } else { new.until };
        let cooldown = merged(account_state.models.get(model), Cooldown { until, ..new }, self.now);
        if account_state.models.get(model) != Some(&cooldown) {
            self.log(capped_for(candidate.slot, model, &cooldown));
        }
        account_state.models.insert(model.to_owned(), cooldown);
    }

    /// If it was refused for another model than the one that it serves, that one had reached its limit, and not the
    /// account.
    fn serves_again(&mut self, account: &AccountId, model: Option<&str>) {
        let Some(candidate) = self.pool.named(None, account) else { return };
        let Ok(login) = &candidate.login else { return };
        let mut account_state = self.account_state(&login.account);
        account_state.refusals = None;
        // Not too often: signals may be wrong, and after this a refusal is worth a refresh again.
        if login.last_refresh.is_none_or(|last| self.now.since(last) >= REFUSED_COOLDOWN) {
            account_state.refreshed_after_401 = None;
        }
        let slot = candidate.slot;
        let refused_models = std::mem::take(&mut account_state.refused_models);
        if let Some(cooldown) = account_state.cooldown.take() {
            let is_of_models = cooldown.kind == CooldownKind::UsageCap
                && !refused_models.is_empty()
                && model.is_some_and(|served| !refused_models.contains(served));
            if !is_of_models {
                self.log(format!("{slot} serves again: its cooldown is over"));
            }
            for refused in refused_models.into_iter().filter(|_| is_of_models) {
                self.log(capped_for(slot, &refused, &cooldown));
                account_state.models.insert(refused, cooldown.clone());
            }
        }
        if let Some(served) = model.filter(|served| account_state.models.remove(*served).is_some()) {
            self.log(format!("{slot} serves {served} again"));
        }
        self.set_account_state(&login.account, account_state);
    }

    fn log(&mut self, line: String) {
        self.result.lines.push(line);
    }

    /// What is known of an account after the signals so far.
    fn account_state(&self, account: &AccountId) -> AccountState {
        let changed = self.result.account_states.iter().find(|(known, _)| known == account);
        changed.map_or_else(|| self.pool.state.account_state(account), |(_, changed)| changed.clone())
    }

    fn set_account_state(&mut self, account: &AccountId, account_state: AccountState) {
        self.result.account_states.retain(|(known, _)| known != account);
        self.result.account_states.push((account.clone(), account_state));
    }
}

/// Whether a refused access token is worth a refresh: once for each grant.
fn may_be_refreshed(candidate: &Candidate, login: &Login, account_state: &AccountState) -> bool {
    login.refresh_token.is_some()
        && account_state.refreshed_after_401.as_ref() != Some(&login.grant())
        && matches!(candidate.grant, GrantStatus::Good | GrantStatus::WithIssuer(_))
}

/// The cooldown of an account whose access token is refused and not worth a refresh. Only the issuer ends a grant, so the
/// account is tried again, after cooldowns that grow with each refusal in a row.
fn refused_again(before: Option<Refusals>, now: Timestamp) -> (Refusals, Cooldown) {
    let before = before.filter(|refusals| now.since(refusals.at) < REFUSALS_COUNT_FOR);
    let times = before.map_or(1, |refusals| refusals.times.saturating_add(1));
    let doublings = 1_u32.checked_shl(times - 1).unwrap_or(u32::MAX);
    let length = REFUSED_COOLDOWN.saturating_mul(doublings).min(LONGEST_REFUSED_COOLDOWN);
    let until = now.plus(length);
    let cooldown = Cooldown { until, kind: CooldownKind::Refused, source: CooldownSource::Floor };
    (Refusals { times, at: now }, cooldown)
}

/// Requests that were under way with the old token are refused after the new one is there, and must not cost a good
/// login. A signal that does not say which token was refused counts only once those requests must be over.
fn is_of_an_old_token(login: &Login, refusal: &Refusal, at: Timestamp) -> bool {
    match &refusal.token {
        Some(token) => *token != login.access_token.fingerprint(),
        None => login.last_refresh.is_some_and(|refreshed| refreshed.plus(LONGEST_REQUEST) > at),
    }
}
