//! What can be wrong with the volume as a whole. Each error names its path, the user and what to do.

use std::io;
use std::path::{Path, PathBuf};

use durable_file::user;
use records::state::NotAState;
use records::{Classified, ErrorClass, Slot, remedy};
use thiserror::Error;

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
    #[error("another login into {0} is under way: finish it, or end it with {abort}", abort = remedy::abort(*.0))]
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

impl Classified for VolumeError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotThere(_) | Self::State(..) | Self::StateTooLarge(_) => ErrorClass::Configuration,
            Self::CannotRead { .. } | Self::CannotWrite { .. } => ErrorClass::Storage,
            Self::CannotReplace { .. } => ErrorClass::Other,
            Self::Locked(..) | Self::LoginUnderWay(_) => ErrorClass::Temporary,
        }
    }
}

/// Turns the file system's error about a path that cannot be read into one of the volume.
pub fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    |cause| VolumeError::CannotRead { path, cause }
}

/// The same of a path that cannot be written.
pub fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    |cause| VolumeError::CannotWrite { path, cause }
}
