//! Reading what a pass decides by.

use auth_volume::grants::{Grants, Marker, REMOVED, Standing};
use auth_volume::state::{Active, Cooldown, Grant, Kind, Predecessor, Source, State};
use auth_volume::volume::Remembered;
use auth_volume::{AccountId, Login, Slot, Timestamp, Volume, VolumeError, env_fed};

use crate::cooldown::LONGEST;
use crate::decide::{Broken, Candidate, World};

/// What was read: the world, and what the log should say of it.
#[derive(Debug)]
pub struct Reading {
    /// What a pass decides by.
    pub world: World,
    /// The state as it is on the volume, if it is one of ours.
    pub stored: Option<State>,
    /// The state's file is none: what it holds is to be set aside before another one is written.
    pub is_state_broken: bool,
    /// Slots whose files others than their owner can read.
    pub too_open: Vec<Slot>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// Reads the volume, and the environment when no slot has a file.
///
/// # Errors
/// The volume cannot be read.
pub fn read(volume: &Volume, now: Timestamp) -> Result<Reading, VolumeError> {
    let Remembered { state, predecessor, note } = volume.remembered()?;
    let stored = note.is_none().then(|| state.clone());
    let is_state_broken = note.is_some() && predecessor.is_none();
    let mut notes: Vec<_> = note.into_iter().collect();
    // In this order, for who reads without the lock: a new login is in its place before its old grant is known as ended.
    let grants = volume.grants()?;
    let masters = volume.masters()?;
    let too_open = masters.iter().filter(|master| master.too_open).map(|master| master.slot).collect();
    let mut slots: Vec<_> = masters
        .into_iter()
        .map(|master| {
            let login = master.login.map(|login| not_from_the_future(login, now)).map_err(Broken::from);
            let grant = login.as_ref().map(|login| known_of(&grants, &state, login, now)).unwrap_or_default();
            Candidate { slot: master.slot, login, grant, is_stored: true }
        })
        .collect();
    let fed = fed(&grants, &slots, now);
    if slots.is_empty() && !fed.logins.is_empty() {
        notes.push(format!(
            "no auth-N.json in {}: using the tokens from the environment; auth-login 1 makes a login that is kept",
            volume.layout().auth().display()
        ));
    }
    notes.extend(fed.notes);
    slots.extend(fed.logins);
    slots.sort_by_key(|candidate| candidate.slot);
    let mut world = World::new(slots, believed(state, now), volume.published());
    world.published_at = volume.published_at();
    if let Some(predecessor) = predecessor {
        world.state = taken_over(&world, &predecessor, now);
    }
    Ok(Reading { world, stored, is_state_broken, too_open, notes })
}

/// A clock that jumped may have left times of the future behind, which would hold for ever.
fn believed(mut state: State, now: Timestamp) -> State {
    if let Some(active) = &mut state.active {
        active.since = active.since.min(now);
    }
    for standing in state.accounts.values_mut() {
        standing.refresh_failed.take_if(|failed| *failed > now);
        if let Some(cooldown) = &mut standing.cooldown {
            cooldown.until = cooldown.until.min(now.plus(LONGEST));
        }
    }
    state
}

fn not_from_the_future(mut login: Login, now: Timestamp) -> Login {
    login.last_refresh.take_if(|last| *last > now);
    login
}

/// The predecessor knew slots and no accounts: what it said of a slot is about the account that is there now.
fn taken_over(world: &World, predecessor: &Predecessor, now: Timestamp) -> State {
    let mut state = State::default();
    for Candidate { slot, login, .. } in &world.slots {
        let Ok(login) = login else { continue };
        if predecessor.last == Some(*slot) {
            state.active = Some(Active { account: login.account.clone(), slot: *slot, since: now });
        }
        if let Some(until) = predecessor.cooldowns.get(slot).filter(|until| **until > now) {
            let until = (*until).min(now.plus(LONGEST));
            let cooldown = Cooldown { until, kind: Kind::UsageCap, source: Source::Predecessor };
            state.accounts.entry(login.account.clone()).or_default().cooldown = Some(cooldown);
        }
    }
    state
}

/// What is known of a login's grant, also from a state that was written before grants had markers.
fn known_of(grants: &Grants, state: &State, login: &Login, now: Timestamp) -> Standing {
    let grant = login.grant();
    match grants.standing(&grant, now) {
        Standing::Good
            if state.accounts.get(&login.account).is_some_and(|known| known.unanswered == Some(grant)) =>
        {
            Standing::Unanswered(Marker::of_old_state(now))
        }
        known => known,
    }
}

/// What the environment feeds.
#[derive(Default)]
struct Fed {
    logins: Vec<Candidate>,
    notes: Vec<String>,
}

/// The logins of the environment, the fallback for a volume on which no slot has a file. Once one of them was refreshed
/// it has a file, and the others still count; one that was used up or removed counts no more.
fn fed(grants: &Grants, stored: &[Candidate], now: Timestamp) -> Fed {
    let (mut fed, mut was_refreshed) = (Fed::default(), false);
    for (slot, login) in env_fed::logins(std::env::vars_os()) {
        let login = login.map_err(Broken::from);
        let grant = login.as_ref().map(|login| grants.standing(&login.grant(), now)).unwrap_or_default();
        if let Standing::Ended(marker) = &grant {
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

/// The slots into which the environment feeds an account's tokens.
#[must_use]
pub fn fed_slots_of(account: &AccountId) -> Vec<Slot> {
    fed_logins().filter(|(_, login)| login.account == *account).map(|(slot, _)| slot).collect()
}

/// The grants that the environment feeds of an account.
#[must_use]
pub fn fed_grants_of(account: &AccountId) -> Vec<Grant> {
    fed_logins().filter(|(_, login)| login.account == *account).map(|(_, login)| login.grant()).collect()
}

fn fed_logins() -> impl Iterator<Item = (Slot, Login)> {
    let fed = env_fed::logins(std::env::vars_os()).into_iter();
    fed.filter_map(|(slot, login)| Some((slot, login.ok()?)))
}

/// `unset OPENAI_CODEX_ACCESS_TOKEN and what goes with it`
#[must_use]
pub fn unset(slot: Slot) -> String {
    let plain = if slot == Slot::FIRST { "OPENAI_CODEX_ACCESS_TOKEN, or " } else { "" };
    format!("unset {plain}OPENAI_CODEX_ACCESS_TOKEN_{}, and what goes with it", slot.number())
}
