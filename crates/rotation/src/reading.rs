//! Reading what a pass judges by: the volume, and the environment's tokens.

use auth_volume::grants::Grants;
use auth_volume::masters::{Master, Unusable};
use auth_volume::state_file::StoredState;
use auth_volume::{Volume, VolumeError};
use judgement::candidate::{Broken, Candidate};
use judgement::cooldown::LONGEST_COOLDOWN;
use judgement::pool::Pool;
use judgement::take_readings::take_readings;
use records::grant::{Grant, GrantStatus, Marker, REMOVED};
use records::state::{Active, Cooldown, CooldownKind, CooldownSource, Predecessor, State};
use records::{AccountId, Login, Slot, Timestamp, env_fed, remedy};

/// What has been read of a volume: the pool, and what the log should say.
#[derive(Debug)]
pub struct Reading {
    pub pool: Pool,
    /// The state as it is on the volume, if it is one of ours.
    pub stored: Option<State>,
    /// The state's file is no state: it must be renamed before another one is written.
    pub is_state_broken: bool,
    /// Why the stored state cannot be used, or that it is the predecessor's.
    pub state_note: Option<String>,
    /// What is known of the grants, also of those that no slot holds.
    pub grants: Grants,
    /// The slots whose files others than their owner can read.
    pub too_open: Vec<Slot>,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// Reads the volume, and the environment when no slot has a file.
///
/// # Errors
/// The volume cannot be read.
pub fn read(volume: &Volume, now: Timestamp) -> Result<Reading, VolumeError> {
    let StoredState { state, predecessor, note } = volume.stored_state()?;
    let stored = note.is_none().then(|| state.clone());
    let is_state_broken = note.is_some() && predecessor.is_none();
    let mut notes = Vec::new();
    let (masters, grants) = volume.masters_and_grants()?;
    let too_open = masters.iter().filter(|master| master.too_open).map(|master| master.slot).collect();
    let mut slots: Vec<_> = masters
        .into_iter()
        .map(|master| {
            let mut candidate = stored_candidate(master, &grants, now);
            if let Ok(login) = &candidate.login {
                candidate.grant = with_old_state(candidate.grant, &state, login, now);
            }
            candidate
        })
        .collect();
    let fed = fed_logins(&grants, &slots, now);
    if slots.is_empty() && !fed.logins.is_empty() {
        notes.push(format!(
            "no auth-N.json in {}: using the tokens from the environment; {} makes a login that is kept",
            volume.layout().auth().display(),
            remedy::FIRST_LOGIN
        ));
    }
    notes.extend(fed.notes);
    slots.extend(fed.logins);
    slots.sort_by_key(|candidate| candidate.slot);
    let mut pool = Pool::new(slots, without_future_times(state, now), volume.published());
    pool.published_at = volume.published_at();
    if let Some(predecessor) = predecessor {
        pool.state = state_from(&predecessor, &pool, now);
    }
    take_readings(&mut pool, &volume.usage_readings(now));
    Ok(Reading { pool, stored, is_state_broken, state_note: note, grants, too_open, notes })
}

/// A clock that jumped may have left times in the future, which would hold for ever.
fn without_future_times(mut state: State, now: Timestamp) -> State {
    for active in state.active.iter_mut().chain(state.lanes.values_mut()) {
        active.since = active.since.min(now);
    }
    for account_state in state.accounts.values_mut() {
        account_state.refresh_failed.take_if(|failed| *failed > now);
        if let Some(cooldown) = &mut account_state.cooldown {
            cooldown.until = cooldown.until.min(now.plus(LONGEST_COOLDOWN));
        }
    }
    state
}

fn without_future_refresh(mut login: Login, now: Timestamp) -> Login {
    login.last_refresh.take_if(|last| *last > now);
    login
}

/// The predecessor knew slots and no accounts: what its state says of a slot is about the account that is there now.
fn state_from(predecessor: &Predecessor, pool: &Pool, now: Timestamp) -> State {
    let mut state = State::default();
    for Candidate { slot, login, .. } in &pool.slots {
        let Ok(login) = login else { continue };
        if predecessor.last == Some(*slot) {
            state.active = Some(Active { account: login.account.clone(), slot: *slot, since: now });
        }
        if let Some(until) = predecessor.cooldowns.get(slot).filter(|until| **until > now) {
            let until = (*until).min(now.plus(LONGEST_COOLDOWN));
            let cooldown =
                Cooldown { until, kind: CooldownKind::UsageCap, source: CooldownSource::Predecessor };
            state.accounts.entry(login.account.clone()).or_default().cooldown = Some(cooldown);
        }
    }
    state
}

/// What is in one slot: its file, or the environment's tokens if it has none.
///
/// # Errors
/// The volume cannot be read.
pub fn read_slot(volume: &Volume, slot: Slot, now: Timestamp) -> Result<Option<Candidate>, VolumeError> {
    let master = volume.master(slot);
    if master.login.is_ok() {
        return Ok(Some(stored_candidate(master, &volume.grants()?, now)));
    }
    let slots = read(volume, now)?.pool.slots;
    Ok(slots.into_iter().find(|candidate| candidate.slot == slot))
}

fn stored_candidate(master: Master, grants: &Grants, now: Timestamp) -> Candidate {
    let login =
        master.login.map(|login| without_future_refresh(login, now)).map_err(|unusable| broken(&unusable));
    let grant = login.as_ref().map(|login| grants.status(&login.grant(), now)).unwrap_or_default();
    Candidate { slot: master.slot, login, grant, is_stored: true }
}

fn broken(unusable: &Unusable) -> Broken {
    Broken { is_in_the_way: matches!(unusable, Unusable::File(_)), why: unusable.to_string() }
}

/// A state that was written before grants had markers says which of them have not been answered.
fn with_old_state(status: GrantStatus, state: &State, login: &Login, now: Timestamp) -> GrantStatus {
    let is_unanswered =
        || state.accounts.get(&login.account).is_some_and(|known| known.unanswered == Some(login.grant()));
    match status {
        GrantStatus::Good if is_unanswered() => GrantStatus::Unanswered(Marker::unreadable(now)),
        status => status,
    }
}

/// The logins of the environment that count, and what an operator should know of others.
#[derive(Default)]
struct FedLogins {
    logins: Vec<Candidate>,
    notes: Vec<String>,
}

/// The logins of the environment, the fallback for a volume without a login. Once one of them has been refreshed it has a
/// file, and the others still count. One whose grant was used up or removed no longer counts.
fn fed_logins(grants: &Grants, stored: &[Candidate], now: Timestamp) -> FedLogins {
    let (mut fed, mut was_refreshed) = (FedLogins::default(), false);
    for (slot, login) in env_fed::logins(std::env::vars_os()) {
        let login = login.map_err(Broken::from);
        let grant = login.as_ref().map(|login| grants.status(&login.grant(), now)).unwrap_or_default();
        if let GrantStatus::Ended(marker) = &grant {
            was_refreshed = true;
            if marker.code.as_deref() == Some(REMOVED) {
                fed.notes.push(format!(
                    "{slot} was removed, and the environment still has its tokens: {}",
                    unset(slot)
                ));
            }
            continue;
        }
        let is_held = |held: &Candidate| match (&held.login, &login) {
            (Ok(held), Ok(login)) => held.account == login.account,
            _ => false,
        };
        if !stored.iter().any(|held| held.slot == slot || is_held(held)) {
            fed.logins.push(Candidate { slot, login, grant, is_stored: false });
        }
    }
    if !stored.is_empty() && !was_refreshed {
        fed.logins.clear();
    }
    fed
}

/// The slots for which the environment has an account's tokens.
#[must_use]
pub fn fed_slots_of(account: &AccountId) -> Vec<Slot> {
    all_fed_logins().filter(|(_, login)| login.account == *account).map(|(slot, _)| slot).collect()
}

/// The grants that the environment has of an account.
#[must_use]
pub fn fed_grants_of(account: &AccountId) -> Vec<Grant> {
    all_fed_logins().filter(|(_, login)| login.account == *account).map(|(_, login)| login.grant()).collect()
}

fn all_fed_logins() -> impl Iterator<Item = (Slot, Login)> {
    let fed = env_fed::logins(std::env::vars_os()).into_iter();
    fed.filter_map(|(slot, login)| Some((slot, login.ok()?)))
}

/// What to do about a slot's variables: `unset OPENAI_CODEX_ACCESS_TOKEN_3, and what goes with it`
#[must_use]
pub fn unset(slot: Slot) -> String {
    let plain = if slot == Slot::FIRST { "OPENAI_CODEX_ACCESS_TOKEN, or " } else { "" };
    format!("unset {plain}OPENAI_CODEX_ACCESS_TOKEN_{}, and what goes with it", slot.number())
}
