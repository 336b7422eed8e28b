//! The file of the rotator's state.

use std::io;

use durable_file::atomic::{self, Access};
use durable_file::private_file::{NotRead, PrivateFile};
use records::state::{self, NotAState, Parsed, Predecessor, State};

use crate::error::cannot_write;
use crate::{Locked, Volume, VolumeError, clock};

/// The name of the copy of a state that could not be read.
const BROKEN: &str = "rotator_state.json.broken";

/// What the state's file gives.
#[derive(Debug)]
pub struct StoredState {
    /// The state in the file, or a new one.
    pub state: State,
    /// The predecessor's state, if that is what the file holds.
    pub predecessor: Option<Predecessor>,
    /// Why the state is a new one, if the file does hold something.
    pub note: Option<String>,
}

impl Volume {
    /// The state on the volume. One that is lost or broken costs a round of rotation, never a login.
    ///
    /// # Errors
    /// It was written by a later release, whose rules this one would break; or it is too large, or cannot be read.
    pub fn stored_state(&self) -> Result<StoredState, VolumeError> {
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
    /// Stores a state.
    ///
    /// # Errors
    /// The volume cannot be written. The previous state is still there.
    pub fn store_state(&self, state: &State) -> Result<(), VolumeError> {
        let path = self.volume().layout().state();
        atomic::replace(&path, &state.to_bytes(), Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Changes the stored state. One that could not be read is set aside first.
    ///
    /// # Errors
    /// It cannot be read or written. The previous state is still there.
    pub fn update_state(&self, change: impl FnOnce(&mut State)) -> Result<(), VolumeError> {
        let StoredState { mut state, predecessor, note } = self.volume().stored_state()?;
        change(&mut state);
        if note.is_some() && predecessor.is_none() {
            self.set_state_aside()?;
        }
        self.store_state(&state)
    }

    /// Renames a state that could not be read, so that an operator can look up the parks in it. What is no file is renamed,
    /// too, to another name if it cannot replace a state that was renamed before.
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixture::volume;

    #[test]
    fn a_state_that_could_not_be_read_is_kept_when_another_one_is_stored() {
        let (dir, volume) = volume();
        fs::write(dir.path().join("rotator_state.json"), "{half").unwrap();
        volume.lock().unwrap().update_state(|state| state.pin = None).unwrap();
        assert_eq!(fs::read(dir.path().join(BROKEN)).unwrap(), b"{half");
        assert_eq!(volume.stored_state().unwrap().note, None);
    }
}
