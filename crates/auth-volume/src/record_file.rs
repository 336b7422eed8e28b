//! The published record's file, in a directory where LiteLLM's container may write anything.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use durable_file::atomic::{self, Access};
use durable_file::private_file::{NotRead, PrivateFile};
use records::published::PublishedRecord;
use records::{Lane, Timestamp};

use crate::error::{cannot_read, cannot_write};
use crate::heartbeats::written_at;
use crate::layout::names;
use crate::lock::Locked;
use crate::{Volume, VolumeError, clock};

/// How many copies of foreign records are kept.
const KEPT: usize = 3;

/// How the name of a copy of a foreign record begins.
const FOUND: &str = "auth.json.found-";

impl Volume {
    /// When the published record was written.
    #[must_use]
    pub fn published_at(&self) -> Option<Timestamp> {
        written_at(&self.layout().published())
    }

    /// The access of the published record, for commands that publish in the rotator's stead: they are not configured with
    /// it, and LiteLLM must be able to read the record. A file that another program put there gives no access.
    #[must_use]
    pub fn published_access(&self) -> Access {
        match std::fs::symlink_metadata(self.layout().published()) {
            Ok(file) if self.published().is_well_formed() => {
                Access { mode: file.mode() & 0o666 | 0o600, group: Some(file.gid()) }
            }
            _ => Access::PRIVATE,
        }
    }

    /// The bytes of the published record.
    ///
    /// # Errors
    /// There is no regular file of a sane size that this user may read.
    pub fn published_bytes(&self) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout().published())?.content)
    }

    /// The bytes of the previous record, if a pass died while it replaced it.
    ///
    /// # Errors
    /// There is no regular file of a sane size that this user may read.
    pub fn aside_bytes(&self) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout().published_aside())?.content)
    }

    /// What is in the place of the published record.
    #[must_use]
    pub fn published(&self) -> PublishedRecord {
        judged(&self.layout().published())
    }

    /// The lanes that have a file, whatever is in it.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn lane_files(&self) -> Result<Vec<Lane>, VolumeError> {
        let live = self.layout().live();
        let names = names(live).map_err(cannot_read(live))?;
        Ok(names.filter_map(|name| Lane::from_file_name(&name)).collect())
    }

    /// The bytes of a lane's record.
    ///
    /// # Errors
    /// There is no regular file of a sane size that this user may read.
    pub fn lane_bytes(&self, lane: Lane) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout().lane(lane))?.content)
    }

    /// What is in the place of a lane's record.
    #[must_use]
    pub fn in_lane(&self, lane: Lane) -> PublishedRecord {
        judged(&self.layout().lane(lane))
    }
}

fn judged(path: &Path) -> PublishedRecord {
    match PrivateFile::read(path) {
        Ok(file) => PublishedRecord::judge(&file.content),
        Err(NotRead::Missing) => PublishedRecord::Missing,
        Err(_) => PublishedRecord::Foreign { why: "not a file that can be read" },
    }
}

impl Locked<'_> {
    /// Publishes a record for LiteLLM. If it is in the directory of the logins, returns what it has replaced: a LiteLLM with
    /// a refresh token of its own may have written that since it was last read.
    ///
    /// # Errors
    /// It cannot be written. The previous record is still there.
    pub fn publish(&self, record: &[u8], access: Access) -> Result<Option<PrivateFile>, VolumeError> {
        let path = self.volume().layout().published();
        let aside = self.volume().layout().published_aside();
        // A second name for the file that is about to lose its first, so that it can be read once more.
        let is_aside = self.volume().is_one_directory()
            && atomic::remove_if_there(&aside).is_ok()
            && std::fs::hard_link(&path, &aside).is_ok();
        put(&path, record, access)?;
        Ok(is_aside.then(|| PrivateFile::read(&aside).ok()).flatten())
    }

    /// Publishes the record of a lane, unless it is there already. Returns whether it was not.
    ///
    /// # Errors
    /// It cannot be written. The previous record is still there.
    pub fn publish_lane(&self, lane: Lane, record: &[u8], access: Access) -> Result<bool, VolumeError> {
        let path = self.volume().layout().lane(lane);
        let is_there = PrivateFile::read(&path).is_ok_and(|there| there.content == record)
            && path.symlink_metadata().is_ok_and(|there| has(access, &there));
        if !is_there {
            put(&path, record, access)?;
        }
        Ok(!is_there)
    }

    /// Removes the record that [`Locked::publish`] has replaced, once everything in it is stored. Returns what a process
    /// that had opened it while it was the published record has written into it since.
    #[must_use]
    pub fn end_aside(&self, replaced: Option<PrivateFile>) -> Option<Vec<u8>> {
        if !self.volume().is_one_directory() {
            return None;
        }
        // If it cannot be removed, the next pass replaces it.
        let _ = atomic::remove_if_there(&self.volume().layout().published_aside());
        let mut replaced = replaced?;
        let has_changed = replaced.read_again().unwrap_or(false);
        has_changed.then_some(replaced.content)
    }

    /// Keeps a copy of what another program left in the published record's place, with the last few such copies. Returns
    /// the copy's path.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub fn keep_found(&self, now: Timestamp, found: &[u8]) -> Result<PathBuf, VolumeError> {
        let auth = self.volume().layout().auth();
        let copy = auth.join(format!("{FOUND}{}", now.milliseconds()));
        atomic::replace(&copy, found, Access::PRIVATE).map_err(cannot_write(&copy))?;
        let mut all: Vec<_> =
            names(auth).map_err(cannot_write(auth))?.filter(|name| name.starts_with(FOUND)).collect();
        all.sort_unstable();
        for oldest in all.iter().take(all.len().saturating_sub(KEPT)) {
            let _ = std::fs::remove_file(auth.join(oldest));
        }
        Ok(copy)
    }
}

fn has(access: Access, file: &Metadata) -> bool {
    file.mode() & 0o777 == access.mode && access.group.is_none_or(|group| file.gid() == group)
}

/// Replaces a record, or whatever another program has put in its place.
fn put(path: &Path, record: &[u8], access: Access) -> Result<(), VolumeError> {
    let put = match atomic::replace(path, record, access) {
        Err(_) if path.symlink_metadata().is_ok_and(|there| there.is_dir()) => {
            displace(path).and_then(|()| atomic::replace(path, record, access))
        }
        put => put,
    };
    put.map_err(cannot_write(path))
}

/// Removes a directory. One with something in it is moved aside instead, because its content is not ours.
fn displace(directory: &Path) -> io::Result<()> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let aside = directory.with_file_name(format!("{name}.displaced-{}", clock::now().milliseconds()));
    std::fs::remove_dir(directory).or_else(|_| std::fs::rename(directory, aside))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;
    use crate::Layout;
    use crate::fixture::volume;

    #[test]
    fn what_is_written_into_a_record_that_was_replaced_is_not_lost() {
        let (dir, volume) = volume();
        let locked = volume.lock().unwrap();
        locked.publish(b"first", Access::PRIVATE).unwrap();
        let mut litellm = OpenOptions::new().write(true).open(dir.path().join("auth.json")).unwrap();
        let replaced = locked.publish(b"second", Access::PRIVATE).unwrap();
        assert_eq!(replaced.as_ref().unwrap().content, b"first");
        litellm.set_len(0).unwrap();
        std::io::Write::write_all(&mut litellm, b"LiteLLM's own").unwrap();
        assert_eq!(locked.end_aside(replaced).unwrap(), b"LiteLLM's own");
        let replaced = locked.publish(b"third", Access::PRIVATE).unwrap();
        assert_eq!(locked.end_aside(replaced), None, "nothing was written");
    }

    #[test]
    fn a_directory_in_the_records_place_makes_way() {
        let (dir, volume) = volume();
        let locked = volume.lock().unwrap();
        std::fs::create_dir_all(dir.path().join("auth.json/x")).unwrap();
        locked.publish(b"record", Access::PRIVATE).unwrap();
        assert_eq!(std::fs::read(dir.path().join("auth.json")).unwrap(), b"record");
    }

    #[test]
    fn the_record_of_a_lane_is_written_only_if_it_or_its_access_is_another() {
        let (dir, volume) = volume();
        let locked = volume.lock().unwrap();
        let publish = |record: &[u8], mode| {
            locked.publish_lane(Lane::FIRST, record, Access { mode, group: None }).unwrap()
        };
        std::fs::create_dir_all(dir.path().join("lane-1.json/x")).unwrap();
        assert_eq!(
            volume.in_lane(Lane::FIRST),
            PublishedRecord::Foreign { why: "not a file that can be read" }
        );
        let written =
            [publish(b"a", 0o600), publish(b"a", 0o600), publish(b"a", 0o640), publish(b"b", 0o640)];
        assert_eq!(written, [true, false, true, true]);
        assert_eq!(std::fs::read(dir.path().join("lane-1.json")).unwrap(), b"b");
        assert_eq!(volume.lane_files().unwrap(), [Lane::FIRST]);
    }

    #[test]
    fn in_a_live_directory_of_its_own_no_previous_record_is_kept() {
        let (auth, live) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let layout = Layout::new(auth.path().to_owned(), Some(live.path().to_owned()));
        let volume = Volume::open(layout).unwrap();
        assert!(!volume.is_one_directory());
        let locked = volume.lock().unwrap();
        locked.publish(b"first", Access::PRIVATE).unwrap();
        assert!(locked.publish(b"second", Access::PRIVATE).unwrap().is_none());
        let same = Layout::new(auth.path().to_owned(), Some(auth.path().join(".")));
        assert!(Volume::open(same).unwrap().is_one_directory());
    }

    #[test]
    fn of_foreign_records_the_last_few_are_kept() {
        let (_dir, volume) = volume();
        let locked = volume.lock().unwrap();
        for number in 1..10 {
            locked.keep_found(Timestamp::from_seconds(number), b"x").unwrap();
        }
        let kept = names(volume.layout().auth()).unwrap().filter(|name| name.starts_with(FOUND)).count();
        assert_eq!(kept, KEPT);
    }
}
