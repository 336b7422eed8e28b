//! Errors of the volume as a whole. Each names its path, and the user or what to do.

use std::io;
use std::path::{Path, PathBuf};

use durable_file::current_user;
use records::state::NotAState;
use records::{Classified, ErrorClass, Slot, remedy};
use thiserror::Error;

/// An error of the volume as a whole.
#[derive(Debug, Error)]
pub enum VolumeError {
    /// There is no directory at this path.
    #[error("{0} is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR")]
    NotThere(PathBuf),
    #[error("cannot read {path} as user {user}: {cause}", user = current_user(), path = path.display())]
    CannotRead { path: PathBuf, cause: io::Error },
    #[error("cannot write {path} as user {user}: {cause}", user = current_user(), path = path.display())]
    CannotWrite { path: PathBuf, cause: io::Error },
    /// One file cannot be replaced or removed, though the volume can be written.
    #[error("{path} cannot be replaced ({cause}): it is a mount of its own, or another user's", path = path.display())]
    CannotReplace { path: PathBuf, cause: io::Error },
    /// Another writer has held this lock for so many seconds.
    #[error("another process has held {0} for {1} s: try again, or look for a command that hangs")]
    Locked(PathBuf, u64),
    /// Another login into the same slot is under way.
    #[error("another login into {0} is under way: finish it, or end it with {abort}", abort = remedy::abort(*.0))]
    LoginUnderWay(Slot),
    /// It is an older copy of itself.
    #[error(
        "the volume was restored from a backup: sign in again what accounts says, then run {}",
        remedy::TAKE_OVER
    )]
    Restored,
    /// The state was written by a later release.
    #[error("{0}: {1}")]
    State(PathBuf, NotAState),
    /// The state is larger than this program ever writes it. What it holds must not be lost without an operator knowing.
    #[error(
        "{0} is larger than 16 MiB, which no state of the rotator is: move it away, from a pod with a shell that mounts \
         the volume"
    )]
    StateTooLarge(PathBuf),
}

impl Classified for VolumeError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotThere(_) | Self::Restored | Self::State(..) | Self::StateTooLarge(_) => {
                ErrorClass::Configuration
            }
            Self::CannotRead { .. } | Self::CannotWrite { .. } => ErrorClass::Storage,
            Self::CannotReplace { .. } => ErrorClass::Other,
            Self::Locked(..) | Self::LoginUnderWay(_) => ErrorClass::Temporary,
        }
    }
}

/// Makes an error of the volume from the reason why a path cannot be read.
pub fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    |cause| VolumeError::CannotRead { path, cause }
}

/// Makes an error of the volume from the reason why a path cannot be written.
pub fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    |cause| VolumeError::CannotWrite { path, cause }
}
