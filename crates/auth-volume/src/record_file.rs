//! The file that LiteLLM reads, in a directory where LiteLLM's container may write anything.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use durable_file::atomic::{self, Access};
use durable_file::private_file::{NotRead, PrivateFile};
use records::Timestamp;
use records::published::PublishedRecord;

use crate::error::cannot_write;
use crate::heartbeats::written_at;
use crate::layout::names;
use crate::lock::Locked;
use crate::{Volume, VolumeError, clock};

/// How many copies of foreign records are kept.
const KEPT: usize = 3;

impl Volume {
    /// When what LiteLLM is served was written.
    #[must_use]
    pub fn published_at(&self) -> Option<Timestamp> {
        written_at(&self.layout().published())
    }

    /// Who may read what LiteLLM is served, for those who publish in the rotator's stead: they are not told, and a
    /// record that LiteLLM cannot read would be none. Nothing is learned from a file that somebody else put there.
    #[must_use]
    pub fn published_access(&self) -> Access {
        match std::fs::symlink_metadata(self.layout().published()) {
            Ok(file) if self.published().is_well_formed() => {
                Access { mode: file.mode() & 0o666 | 0o600, group: Some(file.gid()) }
            }
            _ => Access::PRIVATE,
        }
    }

    /// What LiteLLM is served, byte for byte, to see whether it is a login.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub fn published_bytes(&self) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout().published())?.content)
    }

    /// What a pass that died had put aside of it.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub fn aside_bytes(&self) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout().published_aside())?.content)
    }

    /// What LiteLLM is served.
    #[must_use]
    pub fn published(&self) -> PublishedRecord {
        match PrivateFile::read(&self.layout().published()) {
            Ok(file) => PublishedRecord::judge(&file.content),
            Err(NotRead::Missing) => PublishedRecord::Missing,
            Err(_) => PublishedRecord::Foreign { why: "not a file that can be read" },
        }
    }
}

impl Locked<'_> {
    /// Publishes a record for LiteLLM. Where it lies among the logins, gives what stood there until that moment: a
    /// LiteLLM with a refresh token of its own may have written it after it was last looked at.
    ///
    /// # Errors
    /// It cannot be written; the record before is still there.
    pub fn publish(&self, record: &[u8], access: Access) -> Result<Option<PrivateFile>, VolumeError> {
        let path = self.volume().layout().published();
        let aside = self.volume().layout().published_aside();
        // A second name for the file that is about to lose its first. Without one there is only the last look.
        let is_aside = self.volume().is_one_directory()
            && atomic::remove_if_there(&aside).is_ok()
            && std::fs::hard_link(&path, &aside).is_ok();
        let published = match atomic::replace(&path, record, access) {
            Err(_) if path.symlink_metadata().is_ok_and(|there| there.is_dir()) => {
                displace(&path).and_then(|()| atomic::replace(&path, record, access))
            }
            published => published,
        };
        published.map_err(cannot_write(&path))?;
        Ok(is_aside.then(|| PrivateFile::read(&aside).ok()).flatten())
    }

    /// Removes what [`Locked::publish`] put aside, once there is nothing in it that is not stored, and gives what was
    /// written into it meanwhile by a process that had opened it when it was the record.
    #[must_use]
    pub fn end_aside(&self, replaced: Option<PrivateFile>) -> Option<Vec<u8>> {
        if !self.volume().is_one_directory() {
            return None;
        }
        // What cannot be removed is replaced by the next pass.
        let _ = atomic::remove_if_there(&self.volume().layout().published_aside());
        let mut replaced = replaced?;
        let is_other = replaced.read_again().unwrap_or(false);
        is_other.then_some(replaced.content)
    }

    /// Keeps a copy of what another program left in the published record's place, and says where; the last few are kept.
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

/// How the name of a copy of a foreign record begins.
const FOUND: &str = "auth.json.found-";

/// Moves a directory out of the way; one that is not empty is not ours to empty.
fn displace(directory: &Path) -> io::Result<()> {
    let aside = format!("auth.json.displaced-{}", clock::now().milliseconds());
    std::fs::remove_dir(directory).or_else(|_| std::fs::rename(directory, directory.with_file_name(aside)))
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
        assert_eq!(locked.end_aside(replaced), None, "nobody wrote");
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
    fn of_a_live_directory_of_its_own_nothing_is_put_aside() {
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
