//! The volume itself: reading it is free, writing it needs the lock.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use thiserror::Error;

use crate::atomic::{self, Access};
use crate::audit::{self, Entry};
use crate::callback::SignOfLife;
use crate::exit::{Exit, Failure};
use crate::private_file::{NotRead, PrivateFile};
use crate::state::{self, NotAState, Parsed, Predecessor, State};
use crate::trial::{self, Trial};
use crate::{Layout, Locked, Slot, Timestamp, writers};

/// What a state is called that could not be read.
const BROKEN: &str = "rotator_state.json.broken";

/// A volume that can be read.
#[derive(Clone, Debug)]
pub struct Volume {
    layout: Layout,
    is_one_directory: bool,
}

/// What is wrong with the volume as a whole.
#[derive(Debug, Error)]
pub enum VolumeError {
    /// The directory is not there.
    #[error("{0} is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR")]
    NotThere(PathBuf),
    /// Something cannot be read.
    #[error("cannot read {path} as user {user}: {cause}", user = user(), path = path.display())]
    CannotRead {
        /// What.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Something cannot be written.
    #[error("cannot write {path} as user {user}: {cause}", user = user(), path = path.display())]
    CannotWrite {
        /// What.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file cannot be replaced by another one, or removed.
    #[error("{path} cannot be replaced ({cause}): it is a mount of its own, or another user's", path = path.display())]
    CannotReplace {
        /// What.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Another writer does not finish.
    #[error("another process has held {0} for {1} s: try again, or look for a command that hangs")]
    Locked(PathBuf, u64),
    /// Another login into the same slot is under way.
    #[error("another login into {0} is under way: finish it, or end it with auth-login --abort {number}", number = .0.number())]
    LoginUnderWay(Slot),
    /// The state is of a later release.
    #[error("{0}: {1}")]
    State(PathBuf, NotAState),
    /// The state is larger than this program ever writes it, and what is remembered in it must not be forgotten.
    #[error(
        "{0} is larger than 16 MiB, which no state of the rotator is: move it away, from a pod with a shell that mounts \
         the volume"
    )]
    StateTooLarge(PathBuf),
}

impl VolumeError {
    /// The code a command ends with because of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotThere(_) | Self::State(..) | Self::StateTooLarge(_) => Exit::BadConfig,
            Self::CannotRead { .. } | Self::CannotWrite { .. } => Exit::CannotWrite,
            Self::CannotReplace { .. } => Exit::Failed,
            Self::Locked(..) | Self::LoginUnderWay(_) => Exit::TryAgain,
        }
    }
}

impl From<VolumeError> for Failure {
    fn from(error: VolumeError) -> Self {
        Self { exit: error.exit(), error: error.into() }
    }
}

/// What was found in the state's file.
#[derive(Debug)]
pub struct Remembered {
    /// The state to go on from.
    pub state: State,
    /// The predecessor's state, if that is what the file holds.
    pub predecessor: Option<Predecessor>,
    /// Why it is not the one in the file, if it is not.
    pub note: Option<String>,
}

impl Volume {
    /// The volume at a layout's directories.
    ///
    /// # Errors
    /// One of them is not there, or is no directory.
    pub fn open(layout: Layout) -> Result<Self, VolumeError> {
        for directory in [layout.auth(), layout.live()] {
            match std::fs::metadata(directory) {
                Ok(metadata) if metadata.is_dir() => {}
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(cannot_read(directory)(e));
                }
                _ => return Err(VolumeError::NotThere(directory.to_owned())),
            }
        }
        let identity = |directory: &Path| std::fs::metadata(directory).map(|it| (it.dev(), it.ino())).ok();
        let is_one_directory = identity(layout.auth()) == identity(layout.live());
        Ok(Self { layout, is_one_directory })
    }

    /// Where everything lies.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether LiteLLM's directory is that of the logins, whatever the paths say: the predecessor's layout.
    #[must_use]
    pub fn is_one_directory(&self) -> bool {
        self.is_one_directory
    }

    /// When the rotator last ended a pass, whether there was anything to publish or not. Before the first one, since
    /// when there is a record: a rotator that never comes must be missed, too.
    #[must_use]
    pub fn last_pass(&self) -> Option<Timestamp> {
        written_at(&self.layout.last_pass()).or_else(|| self.published_at())
    }

    /// What the rotator remembers. A state that is lost or broken costs a round of rotation, never a login.
    ///
    /// # Errors
    /// It is of a later release, which knows rules that this one would break; or it is too large, or cannot be read.
    pub fn remembered(&self) -> Result<Remembered, VolumeError> {
        let path = self.layout.state();
        let fresh = |predecessor, note| Ok(Remembered { state: State::default(), predecessor, note });
        let broken = |why: &dyn std::fmt::Display| {
            Some(format!("{}: {why}: starting a new one, and keeping it as {BROKEN}", path.display()))
        };
        match PrivateFile::read_within(&path, state::LARGEST) {
            Ok(file) => match State::parse(&file.content) {
                Ok(Parsed::Ours(state)) => Ok(Remembered { state: *state, predecessor: None, note: None }),
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

    /// What LiteLLM's callback last said of itself; `None` if it never did.
    #[must_use]
    pub fn callback(&self) -> Option<SignOfLife> {
        SignOfLife::parse(&PrivateFile::read(&self.layout.callback()).ok()?.content)
    }
}

impl Locked<'_> {
    /// Tries out whether the volume's directories can do what writers rely on, and leaves nothing behind.
    #[must_use]
    pub fn try_out(&self) -> Vec<(PathBuf, Trial)> {
        let directories = self.volume().layout().directories();
        directories.map(|directory| (directory.to_owned(), trial::of(directory))).collect()
    }

    /// Remembers a state.
    ///
    /// # Errors
    /// The file system said no; the state before is still there.
    pub fn remember(&self, state: &State) -> Result<(), VolumeError> {
        let path = self.volume().layout().state();
        atomic::replace(&path, &state.to_bytes(), Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Sets a state aside that cannot be read, so that the parks in it can be looked up. What is no file goes too.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn set_state_aside(&self) -> Result<(), VolumeError> {
        let path = self.volume().layout().state();
        match std::fs::rename(&path, path.with_file_name(BROKEN)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_write(&path)(e)),
            _ => Ok(()),
        }
    }

    /// Marks that a pass has ended, and whose. Nothing is decided by it, so nobody waits for the disk.
    ///
    /// # Errors
    /// The file system said no.
    pub fn end_pass(&self) -> Result<(), VolumeError> {
        let path = self.volume().layout().last_pass();
        let touched = atomic::open_private(&path).and_then(|mark| {
            writers::write_down(&mark, self.identity())?;
            // The file system's own time, as that of every other file: whoever may write may set this one.
            Ok(futimens(&mark, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?)
        });
        touched.map_err(cannot_write(&path))
    }

    /// Writes down what somebody did.
    ///
    /// # Errors
    /// The file system said no; what was written down before is still there.
    pub fn write_down(&self, entry: &Entry) -> Result<(), VolumeError> {
        let path = self.volume().layout().audit();
        let before = match PrivateFile::read(&path) {
            Ok(file) => file.content,
            Err(NotRead::Io(cause)) => return Err(VolumeError::CannotRead { path, cause }),
            // Not a file of ours: it gives way.
            Err(_) => Vec::new(),
        };
        atomic::replace(&path, &audit::appended(&before, entry), Access::PRIVATE).map_err(cannot_write(&path))
    }
}

pub(crate) fn written_at(path: &Path) -> Option<Timestamp> {
    Some(Timestamp::from_system_time(std::fs::symlink_metadata(path).ok()?.modified().ok()?))
}

pub(crate) fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    |cause| VolumeError::CannotRead { path, cause }
}

pub(crate) fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    |cause| VolumeError::CannotWrite { path, cause }
}

fn user() -> nix::unistd::Uid {
    nix::unistd::geteuid()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;
    use crate::fixture::volume;

    #[test]
    fn a_pass_that_ended_is_known_by_its_mark_and_before_the_first_by_the_record() {
        let (dir, volume) = volume();
        assert_eq!(volume.last_pass(), None);
        let locked = volume.lock().unwrap();
        locked.publish(b"{}", Access::PRIVATE).unwrap();
        assert_eq!(volume.last_pass(), volume.published_at());
        let an_hour_ago = std::time::SystemTime::now() - Duration::from_hours(1);
        let set = |name: &str| File::open(dir.path().join(name)).unwrap().set_modified(an_hour_ago).unwrap();
        set("auth.json");
        locked.end_pass().unwrap();
        set(".last-pass");
        assert_eq!(volume.last_pass(), Some(Timestamp::from_system_time(an_hour_ago)));
        locked.end_pass().unwrap();
        assert!(Timestamp::now().since(volume.last_pass().unwrap()) < Duration::from_mins(1));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_with_what_to_do() {
        let error = Volume::open(Layout::new("/nonexistent".into(), None)).unwrap_err();
        assert_eq!(error.exit(), Exit::BadConfig);
        assert_eq!(
            error.to_string(),
            "/nonexistent is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR"
        );
    }
}
