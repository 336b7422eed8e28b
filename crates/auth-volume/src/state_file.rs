//! The file in which the rotator's state outlives a pass.

use std::io;

use durable_file::atomic::{self, Access};
use durable_file::private_file::{NotRead, PrivateFile};
use records::state::{self, NotAState, Parsed, Predecessor, State};

use crate::error::cannot_write;
use crate::{Locked, Volume, VolumeError, clock};

/// What a state is called that could not be read.
const BROKEN: &str = "rotator_state.json.broken";

/// What was found in the state's file.
#[derive(Debug)]
pub struct StoredState {
    /// The state to go on from.
    pub state: State,
    /// The predecessor's state, if that is what the file holds.
    pub predecessor: Option<Predecessor>,
    /// Why it is not the one in the file, if it is not.
    pub note: Option<String>,
}

impl Volume {
    /// What the rotator remembers. A state that is lost or broken costs a round of rotation, never a login.
    ///
    /// # Errors
    /// It is of a later release, which knows rules that this one would break; or it is too large, or cannot be read.
    pub fn remembered(&self) -> Result<StoredState, VolumeError> {
        let path = self.layout().state();
        let fresh = |predecessor, note| Ok(StoredState { state: State::default(), predecessor, note });
        let broken = |why: &dyn std::fmt::Display| {
            Some(format!("{}: {why}: starting a new one, and keeping it as {BROKEN}", path.display()))
        };
        match PrivateFile::read_within(&path, state::LARGEST) {
            Ok(file) => match State::parse(&file.content) {
                Ok(Parsed::Ours(state)) => Ok(StoredState { state: *state, predecessor: None, note: None }),
                Ok(Parsed::Predecessors(predecessor)) => {
                    let note = format!("{}: the predecessor's state, taken over", path.display());
                    fresh(Some(predecessor), Some(note))
                }
                Err(e @ NotAState::Newer(_)) => Err(VolumeError::State(path, e)),
                Err(e) => fresh(None, broken(&e)),
            },
            Err(NotRead::Missing) => fresh(None, None),
            Err(NotRead::TooLarge(_)) => Err(VolumeError::StateTooLarge(path)),
            Err(NotRead::Io(cause)) => Err(VolumeError::CannotRead { path, cause }),
            Err(e) => fresh(None, broken(&e)),
        }
    }
}

impl Locked<'_> {
    /// Remembers a state.
    ///
    /// # Errors
    /// The file system said no; the state before is still there.
    pub fn remember(&self, state: &State) -> Result<(), VolumeError> {
        let path = self.volume().layout().state();
        atomic::replace(&path, &state.to_bytes(), Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Changes the state as it is stored.
    ///
    /// # Errors
    /// It cannot be read or written; the state before is still there.
    pub fn update_state(&self, change: impl FnOnce(&mut State)) -> Result<(), VolumeError> {
        let mut state = self.volume().remembered()?.state;
        change(&mut state);
        self.remember(&state)
    }

    /// Sets a state aside that cannot be read, so that the parks in it can be looked up. What is no file goes too, and takes
    /// another name where one that was set aside before cannot be replaced by it.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn set_state_aside(&self) -> Result<(), VolumeError> {
        let path = self.volume().layout().state();
        let aside = path.with_file_name(BROKEN);
        let another = path.with_file_name(format!("{BROKEN}-{}", clock::now().milliseconds()));
        match std::fs::rename(&path, &aside).or_else(|_| std::fs::rename(&path, another)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_write(&path)(e)),
            _ => Ok(()),
        }
    }
}
