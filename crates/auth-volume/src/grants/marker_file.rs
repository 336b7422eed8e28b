//! The files of markers: how they are named and read, and who holds them.

use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use durable_file::draft::{Draft, LONGEST_USE, this_node};
use durable_file::private_file::PrivateFile;
use records::Timestamp;
use records::grant::Marker;

/// The kind of a marker that says that a grant has been sent.
pub(super) const SENT: &str = "sent";

/// The kind of a marker that says that a grant has ended.
pub(super) const ENDED: &str = "ended";

pub(super) fn name(fingerprint: &str, kind: &str) -> String {
    format!(".grant-{fingerprint}.{kind}")
}

/// The fingerprint and the kind in the name of a marker.
pub(super) fn parts(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(".grant-")?.rsplit_once('.')
}

/// Reads a marker. One that cannot be read still says that there is one.
pub(super) fn read(path: &Path, now: Timestamp) -> Marker {
    let marker = PrivateFile::read(path).ok().and_then(|file| serde_json::from_slice(&file.content).ok());
    marker.unwrap_or_else(|| Marker::unreadable(now))
}

/// Reads a marker, and whether its maker is still waiting for the answer; `None` if there is no marker any more.
pub(super) fn read_with_holder(path: &Path, now: Timestamp) -> Option<(Marker, bool)> {
    let file = match OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        opened => opened.ok(),
    };
    let marker = read(path, now);
    let is_young = now.since(marker.since) < LONGEST_USE && marker.since <= now;
    let is_held = match file.map(|file| file.try_lock_shared()) {
        Some(Err(TryLockError::WouldBlock)) => true,
        Some(Ok(())) if marker.node == this_node() => false,
        _ => is_young,
    };
    Some((marker, is_held))
}

/// Removes the marker of a request whose answer is not known; false if another process has done so. The marker is moved
/// aside first: of two processes whose locks do not exclude each other only one can do that, and it puts back a marker
/// that is not the one it saw.
pub(super) fn claim(path: &Path, before: &Marker, now: Timestamp) -> io::Result<bool> {
    let aside = Draft::of(path);
    match std::fs::rename(path, &aside) {
        // What a state says that was written before grants had markers has no file.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(before.node.is_empty()),
        moved => moved?,
    }
    let is_the_same = read(&aside, now).since == before.since;
    if !is_the_same {
        let _ = std::fs::hard_link(&aside, path);
    }
    std::fs::remove_file(&aside)?;
    Ok(is_the_same)
}
