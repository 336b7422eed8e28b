//! Reading what a pass decides by.

use auth_volume::state::{Active, Cooldown, Kind, Predecessor, Source, State};
use auth_volume::volume::Remembered;
use auth_volume::{Login, Slot, Timestamp, Volume, VolumeError, env_fed};

use crate::cooldown::LONGEST;
use crate::decide::{Candidate, World};

/// What was read: the world, and what the log should say of it.
#[derive(Debug)]
pub struct Reading {
    /// What a pass decides by.
    pub world: World,
    /// The state as it is on the volume, if it is one of ours.
    pub stored: Option<State>,
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
    let mut notes: Vec<_> = note.into_iter().collect();
    let masters = volume.masters()?;
    let too_open = masters.iter().filter(|master| master.too_open).map(|master| master.slot).collect();
    let mut slots: Vec<_> = masters
        .into_iter()
        .map(|master| Candidate {
            slot: master.slot,
            login: master.login.map(|login| not_from_the_future(login, now)).map_err(|why| why.to_string()),
            is_stored: true,
        })
        .collect();
    if slots.is_empty() {
        slots = fed_by_environment();
        if !slots.is_empty() {
            notes.push(format!(
                "no auth-N.json in {}: using the tokens from the environment; auth-login 1 makes a login that is kept",
                volume.layout().auth().display()
            ));
        }
    }
    let mut world = World::new(slots, believed(state, now), volume.published());
    world.published_at = volume.published_at();
    if let Some(predecessor) = predecessor {
        world.state = taken_over(&world, &predecessor, now);
    }
    Ok(Reading { world, stored, too_open, notes })
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

fn fed_by_environment() -> Vec<Candidate> {
    let fed = env_fed::logins(std::env::vars_os()).into_iter();
    fed.map(|(slot, login)| Candidate { slot, login, is_stored: false }).collect()
}
