//! Reading what a pass decides by.

use auth_volume::state::State;
use auth_volume::volume::{Remembered, Taken};
use auth_volume::{Slot, Volume, VolumeError, env_fed};

use crate::decide::{Candidate, World};

/// What was read: the world, and what the pass needs beside it.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) world: World,
    pub(crate) state: State,
    pub(crate) signals: Vec<Taken>,
    /// Slots whose files others than their owner can read.
    pub(crate) too_open: Vec<Slot>,
    /// What the operator should know.
    pub(crate) notes: Vec<String>,
}

/// Reads the volume, and the environment when no slot has a file.
///
/// # Errors
/// The volume cannot be read.
pub(crate) fn read(volume: &Volume, signals: Vec<Taken>) -> Result<Reading, VolumeError> {
    let Remembered { state, note } = volume.remembered()?;
    let mut notes: Vec<_> = note.into_iter().collect();
    let masters = volume.masters()?;
    let too_open = masters.iter().filter(|master| master.too_open).map(|master| master.slot).collect();
    let mut slots: Vec<_> = masters
        .into_iter()
        .map(|master| Candidate { slot: master.slot, login: master.login.map_err(|why| why.to_string()) })
        .collect();
    if slots.is_empty() {
        slots = fed_by_environment();
        if !slots.is_empty() {
            notes.push(format!(
                "no auth-N.json in {}: using the tokens from the environment, which nobody renews; auth-login 1 mends that",
                volume.layout().auth().display()
            ));
        }
    }
    let world = World {
        slots,
        active: state.active.clone(),
        published: volume.published(),
        signals: signals.iter().map(|taken| taken.signal.clone()).collect(),
    };
    Ok(Reading { world, state, signals, too_open, notes })
}

fn fed_by_environment() -> Vec<Candidate> {
    let utf8 = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let fed = env_fed::logins(utf8).into_iter();
    fed.map(|(slot, login)| Candidate {
        slot,
        login: login.ok_or_else(|| "its OPENAI_CODEX_… tokens do not say whose they are".to_owned()),
    })
    .collect()
}
