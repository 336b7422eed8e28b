//! Trying out whether a directory can do what writers rely on, with a file of its own and never with theirs.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use durable_file::atomic::{remove_if_there, sync_directory};
use durable_file::draft::Draft;
use nix::sys::statvfs::statvfs;
use thiserror::Error;

use crate::Locked;

/// What the file that is tried with is a draft of.
const NAME: &str = ".trial";

/// What a directory cannot do.
#[derive(Debug, Error)]
pub enum Fault {
    /// A file cannot be made or written.
    #[error("cannot be written: {0}")]
    Write(io::Error),
    /// A file cannot be given another name.
    #[error("cannot rename a file: {0}")]
    Rename(io::Error),
    /// What was written may be lost when the power goes.
    #[error("cannot sync what is written: {0}")]
    Sync(io::Error),
    /// Two writers can hold one lock.
    #[error("does not lock: two writers would not see each other")]
    NoLocks,
    /// Everybody can read what is written.
    #[error("keeps no modes: a file made 600 is {0:o}")]
    NoModes(u32),
}

/// What a trial found.
#[derive(Debug)]
pub struct Trial {
    /// What it cannot do.
    pub faults: Vec<Fault>,
    /// How much room there is, in bytes, and in files where the file system counts them.
    pub room: Option<(u64, Option<u64>)>,
}

/// Tries a directory out, and leaves nothing in it.
fn of(directory: &Path) -> Trial {
    let mut faults = Vec::new();
    // Names of their own: nothing that lies there can be in the way.
    let names = [(); 2].map(|()| Draft::of(&directory.join(NAME)));
    if let Err(fault) = writing(directory, &names, &mut faults) {
        faults.push(fault);
    }
    for name in names {
        let _ = remove_if_there(&name);
    }
    Trial { faults, room: room(directory) }
}

/// What does not stop the trial is added to the faults.
fn writing(directory: &Path, [path, renamed]: &[PathBuf; 2], faults: &mut Vec<Fault>) -> Result<(), Fault> {
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

/// Whether a second opening of the file is kept out while the first holds its lock.
fn excludes(path: &Path, first: &File) -> bool {
    let second = OpenOptions::new().write(true).open(path);
    first.try_lock().is_ok() && second.is_ok_and(|second| second.try_lock().is_err())
}

fn room(directory: &Path) -> Option<(u64, Option<u64>)> {
    let told = statvfs(directory).ok()?;
    let files = (told.files() > 0).then(|| told.files_available());
    Some((told.blocks_available() * told.fragment_size(), files))
}

impl Locked<'_> {
    /// Tries out whether the volume's directories can do what writers rely on, and leaves nothing behind.
    #[must_use]
    pub fn try_out(&self) -> Vec<(PathBuf, Trial)> {
        let directories = self.volume().layout().directories();
        directories.map(|directory| (directory.to_owned(), of(directory))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_directory_has_no_faults_and_is_left_empty() {
        let directory = tempfile::tempdir().unwrap();
        let trial = of(directory.path());
        assert!(trial.faults.is_empty(), "{:?}", trial.faults);
        assert!(trial.room.unwrap().0 > 0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_takes_no_file_says_why() {
        // Nobody, root included, can make files there.
        let trial = of(Path::new("/proc/self"));
        assert!(matches!(trial.faults[..], [Fault::Write(_)]), "{:?}", trial.faults);
    }
}
