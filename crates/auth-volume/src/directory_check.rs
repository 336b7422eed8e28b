//! Checking whether a directory can do what writers rely on, with files of its own and never with theirs.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use durable_file::atomic::{remove_if_there, sync_directory};
use durable_file::draft::Draft;
use nix::sys::statvfs::statvfs;
use thiserror::Error;

use crate::Locked;

/// The name of which the check's files are drafts.
const NAME: &str = ".trial";

/// What a directory cannot do.
#[derive(Debug, Error)]
pub enum Fault {
    /// A file cannot be created or written.
    #[error("cannot be written: {0}")]
    Write(io::Error),
    /// A file cannot be renamed.
    #[error("cannot rename a file: {0}")]
    Rename(io::Error),
    /// What is written may be lost when the power fails.
    #[error("cannot sync what is written: {0}")]
    Sync(io::Error),
    /// Two writers can hold one lock.
    #[error("does not lock: two writers would not exclude each other")]
    NoLocks,
    /// A file does not keep its mode, so that others can read it.
    #[error("does not keep modes: a file of mode 600 has {0:o}")]
    NoModes(u32),
}

/// What the check of a directory has shown.
#[derive(Debug)]
pub struct DirectoryCheck {
    pub faults: Vec<Fault>,
    /// How much room there is, in bytes, and in files if the file system counts them.
    pub room: Option<(u64, Option<u64>)>,
}

/// Checks a directory, and leaves nothing in it.
fn check(directory: &Path) -> DirectoryCheck {
    let mut faults = Vec::new();
    // No other files have these names, so none can be in the way.
    let names = [(); 2].map(|()| Draft::of(&directory.join(NAME)));
    if let Err(fault) = check_writing(directory, &names, &mut faults) {
        faults.push(fault);
    }
    for name in names {
        let _ = remove_if_there(&name);
    }
    DirectoryCheck { faults, room: room(directory) }
}

/// Adds faults that do not end the check to `faults`.
fn check_writing(
    directory: &Path,
    [path, renamed]: &[PathBuf; 2],
    faults: &mut Vec<Fault>,
) -> Result<(), Fault> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(Fault::Write)?;
    file.write_all(&[b' '; 4096]).map_err(Fault::Write)?;
    file.sync_all().map_err(Fault::Sync)?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(Fault::Write)?;
    let mode = file.metadata().map_err(Fault::Write)?.permissions().mode() & 0o777;
    if mode != 0o600 {
        faults.push(Fault::NoModes(mode));
    }
    if !excludes(path, &file) {
        faults.push(Fault::NoLocks);
    }
    std::fs::rename(path, renamed).map_err(Fault::Rename)?;
    sync_directory(directory).map_err(Fault::Sync)
}

/// Whether a second handle on the file cannot lock it while the first holds its lock.
fn excludes(path: &Path, first: &File) -> bool {
    let second = OpenOptions::new().write(true).open(path);
    first.try_lock().is_ok() && second.is_ok_and(|second| second.try_lock().is_err())
}

fn room(directory: &Path) -> Option<(u64, Option<u64>)> {
    let statistics = statvfs(directory).ok()?;
    let files = (statistics.files() > 0).then(|| statistics.files_available());
    Some((statistics.blocks_available() * statistics.fragment_size(), files))
}

impl Locked<'_> {
    /// Checks whether the volume's directories can do what writers rely on, and leaves nothing behind.
    #[must_use]
    pub fn check_directories(&self) -> Vec<(PathBuf, DirectoryCheck)> {
        let directories = self.volume().layout().directories();
        directories.map(|directory| (directory.to_owned(), check(directory))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_directory_has_no_faults_and_is_left_empty() {
        let directory = tempfile::tempdir().unwrap();
        let check = check(directory.path());
        assert!(check.faults.is_empty(), "{:?}", check.faults);
        assert!(check.room.unwrap().0 > 0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_takes_no_file_says_why() {
        // No user, root included, can create files there.
        let check = check(Path::new("/proc/self"));
        assert!(matches!(check.faults[..], [Fault::Write(_)]), "{:?}", check.faults);
    }
}
