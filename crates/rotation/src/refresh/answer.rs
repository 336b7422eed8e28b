//! What each answer of the issuer means for the account, its grant and the next refresh.

use auth_volume::{VolumeError, clock};
use issuer::Answer;
use judgement::cooldown::REFUSED_COOLDOWN;
use judgement::due::Due;
use judgement::phrases::needs_login;
use records::counters::{RefreshReason, RefreshResult};
use records::grant::GrantEnd;
use records::state::{AccountState, Cooldown, CooldownKind, CooldownSource, NeedsLogin, RefreshRefusal};
use records::{Timestamp, remedy};

use super::{PreparedRefresh, Refresh, RefreshReport};

impl Refresh<'_> {
    pub(super) fn conclude(&self, due: &Due, prepared: PreparedRefresh, answer: Answer) -> RefreshReport {
        let slot = due.slot;
        match answer {
            Answer::Refreshed(tokens) => self.store(due, prepared, tokens),
            Answer::Ended(code) => {
                self.note(due, prepared, RefreshResult::Ended, true, |account_state, prepared| {
                    let grant = prepared.login.grant();
                    // If the provider has refused the access token, too, nothing of the login serves any more.
                    let token_refused = due.reason == RefreshReason::Refused;
                    let since = clock::now();
                    account_state.needs_login =
                        Some(NeedsLogin { grant, since, code: code.clone(), token_refused });
                    account_state.refreshing_after_401 = None;
                    (Some(GrantEnd::Refused(code.clone())), needs_login(slot, &code))
                })
            }
            Answer::Refused { message, code } => {
                self.note(due, prepared, RefreshResult::Failed, true, |account_state, _| {
                    let now = clock::now();
                    // Without a code the status stands for it.
                    let code = code.unwrap_or_else(|| message.clone());
                    let before = account_state.refresh_refused.take().filter(|before| before.code == code);
                    let refusal = before.unwrap_or(RefreshRefusal { code, since: now });
                    account_state.refresh_refused = Some(refusal);
                    note_failure(account_state, due.reason, now);
                    (None, format!("{slot} not refreshed: {message}; its refresh token is as good as before"))
                })
            }
            Answer::NotSent(why) => {
                self.note(due, prepared, RefreshResult::Failed, false, |account_state, _| {
                    note_failure(account_state, due.reason, clock::now());
                    (None, format!("{slot} not refreshed: {why}; its refresh token is as good as before"))
                })
            }
            Answer::Unanswered(why) => self.unanswered(due, prepared, &why),
        }
    }

    /// Notes an answer without tokens. `change` says what it means for the account and for the grant, and gives a line for
    /// the log.
    fn note(
        &self,
        due: &Due,
        prepared: PreparedRefresh,
        result: RefreshResult,
        goes_on: bool,
        change: impl FnOnce(&mut AccountState, &PreparedRefresh) -> (Option<GrantEnd>, String),
    ) -> RefreshReport {
        let noted = (|| {
            let locked = self.lock_patiently()?;
            let mut state = self.volume.stored_state()?.state;
            state.counters.count_refresh(result, due.reason);
            let account = prepared.login.account.clone();
            let (end, line) = change(state.accounts.entry(account).or_default(), &prepared);
            let PreparedRefresh { permit, reserved, .. } = prepared;
            reserved.discard();
            // The marker before the state, because it outlives the state.
            match end {
                Some(end) => permit.end(&locked, &end)?,
                None => permit.withdraw(&locked)?,
            }
            locked.store_state(&state)?;
            Ok::<_, VolumeError>(line)
        })();
        let line =
            noted.unwrap_or_else(|e| format!("{}: what the issuer said cannot be noted: {e}", due.slot));
        RefreshReport { result: Some(result), lines: vec![line], goes_on }
    }

    /// The marker stays, because the grant may be used up.
    fn unanswered(&self, due: &Due, prepared: PreparedRefresh, why: &str) -> RefreshReport {
        let PreparedRefresh { login, reserved, permit, .. } = prepared;
        let slot = due.slot;
        let until = login.expiry.map_or_else(String::new, |expiry| format!(", until {expiry}"));
        let mut lines = vec![format!(
            "{slot} may have been refreshed, but no answer came ({why}): left alone while its access token lives{until}; \
             {} tries it at once",
            remedy::refresh(slot)
        )];
        let noted = (|| {
            let locked = self.lock_patiently()?;
            reserved.discard();
            drop(permit);
            locked.update_state(|state| {
                state.counters.count_refresh(RefreshResult::Unanswered, due.reason);
                note_failure(state.accounts.entry(login.account).or_default(), due.reason, clock::now());
            })
        })();
        lines.extend(noted.err().map(|e| e.to_string()));
        RefreshReport { result: Some(RefreshResult::Unanswered), lines, goes_on: false }
    }
}

/// Notes a refresh that failed. An account whose access token was refused gets a cooldown, so that others serve.
fn note_failure(account_state: &mut AccountState, reason: RefreshReason, now: Timestamp) {
    account_state.refresh_failed = Some(now);
    account_state.refreshing_after_401 = None;
    if reason == RefreshReason::Refused {
        let until = now.plus(REFUSED_COOLDOWN);
        let cooldown = Cooldown { until, kind: CooldownKind::Refused, source: CooldownSource::Floor };
        account_state.cooldown.get_or_insert(cooldown);
    }
}
