//! Leaves the digest for the page: what can be seen of the volume, without a lock and without a token.

use std::fs::File;
use std::path::Path;

use auth_volume::{Volume, VolumeError, clock};
use cli::exit::Failure;
use durable_file::{Draft, atomic};
use overview::digest::{Digest, FILE_NAME};
use rotation::observing::unreadable;

use crate::Args;

/// Observes the volume and leaves the digest. That the volume cannot be read is in the digest.
///
/// # Errors
/// The digest cannot be written.
pub(crate) fn leave(args: &Args, directory: &Path) -> Result<(), Failure> {
    let now = clock::now();
    let volume = Volume::at(args.volume.directories());
    let observed = volume.and_then(|volume| args.observer().observe(&volume, now));
    let digest = Digest::of(observed.map_err(|e| unreadable(&e)), now);
    let path = directory.join(FILE_NAME);
    remove_left_drafts(directory);
    let written = atomic::replace(&path, &digest.to_bytes(), args.access());
    Ok(written.map_err(|cause| VolumeError::CannotWrite { path, cause })?)
}

/// Removes what a process has left that was killed while it wrote. The directory is in memory, and small.
fn remove_left_drafts(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| Draft::target(name) == Some(FILE_NAME)) else {
            continue;
        };
        if File::open(entry.path()).is_ok_and(|file| !Draft::is_in_use(name, &file, clock::now())) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
