//! What is known of single grants, in files of their own beside the masters, which outlive the state: which one is with
//! the issuer and since when, and which ones have ended and must never be sent again, wherever they turn up.
//!
//! `.grant-FINGERPRINT.asked` is made before a request, durably and exclusively, and is locked while its maker waits for
//! the answer. It is removed when the issuer said that the grant is as good as before, and becomes
//! `.grant-FINGERPRINT.ended` when the grant has ended. One that stays is of a request whose answer nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use durable_file::Owner;
use durable_file::atomic::{self, Access};
use durable_file::draft::{Draft, IN_USE_AT_MOST, this_node};
use durable_file::private_file::PrivateFile;
use records::grant::{Grant, GrantEnd, GrantStatus, Marker};
use records::{Login, Slot, Timestamp};

use crate::error::{cannot_read, cannot_write};
use crate::layout::names;
use crate::{Layout, Locked, Volume, VolumeError};

/// How many ended grants are remembered at the least, and how many for each slot: the oldest go first.
const REMEMBERED: (usize, usize) = (1024, 8);

/// What is known of the grants of a volume.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    directory: PathBuf,
    asked: BTreeSet<String>,
    ended: BTreeSet<String>,
}

/// The right to send one grant, while its marker is held.
#[derive(Debug)]
pub struct Asked {
    layout: Layout,
    fingerprint: String,
    marker: Marker,
    file: File,
}

impl Volume {
    /// What is known of the grants.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn grants(&self) -> Result<Grants, VolumeError> {
        let directory = self.layout().auth();
        Ok(Grants::named(directory, names(directory).map_err(cannot_read(directory))?))
    }
}

impl Grants {
    /// What the names in a directory say of grants.
    pub(crate) fn named(directory: &Path, names: impl Iterator<Item = impl AsRef<str>>) -> Self {
        let mut grants = Self { directory: directory.to_owned(), ..Self::default() };
        for name in names {
            let Some(rest) = name.as_ref().strip_prefix(".grant-") else { continue };
            if let Some(fingerprint) = rest.strip_suffix(".asked") {
                grants.asked.insert(fingerprint.to_owned());
            } else if let Some(fingerprint) = rest.strip_suffix(".ended") {
                grants.ended.insert(fingerprint.to_owned());
            }
        }
        grants
    }

    /// What is known of a grant now.
    #[must_use]
    pub fn status(&self, grant: &Grant, now: Timestamp) -> GrantStatus {
        let path = |kind| self.directory.join(name(grant.fingerprint(), kind));
        if self.ended.contains(grant.fingerprint()) {
            return GrantStatus::Ended(read_marker(&path("ended"), now));
        }
        if !self.asked.contains(grant.fingerprint()) {
            return GrantStatus::Good;
        }
        match held_marker(&path("asked"), now) {
            // It was removed since: the issuer said that the grant is good.
            None => GrantStatus::Good,
            Some((marker, true)) => GrantStatus::WithIssuer(marker),
            Some((marker, false)) => GrantStatus::Unanswered(marker),
        }
    }

    /// The markers of requests that are under way now, by whoever made them.
    #[must_use]
    pub fn with_issuer(&self, now: Timestamp) -> Vec<Marker> {
        let held = |print: &String| held_marker(&self.directory.join(name(print, "asked")), now);
        self.asked.iter().filter_map(held).filter(|(_, held)| *held).map(|(marker, _)| marker).collect()
    }

    /// The refreshes under way whose makers hold another lock than this one: two writers that do not see each other.
    #[must_use]
    pub fn out_of_reach(&self, locked: &Locked<'_>, now: Timestamp) -> Vec<Marker> {
        let mut markers = self.with_issuer(now);
        markers.retain(|marker| !marker.lock.is_empty() && marker.lock != locked.identity());
        markers
    }

    /// Whether nothing is known of any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.ended.is_empty()
    }
}

impl Locked<'_> {
    /// Takes the right to send a grant, and writes down durably that it is being sent. `None` if another process has
    /// that right, or has ended the grant since, or had the right and its answer is not known. `again` is the marker of
    /// such a request, for a grant that is sent in spite of it.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn ask(
        &self,
        grant: &Grant,
        slot: Slot,
        again: Option<&Marker>,
        now: Timestamp,
    ) -> Result<Option<Asked>, VolumeError> {
        let layout = self.volume().layout();
        let path = layout.auth().join(name(grant.fingerprint(), "asked"));
        if let Some(before) = again
            && !take_over(&path, before, now).map_err(cannot_write(&path))?
        {
            return Ok(None);
        }
        let marker = self.marker(slot, None, now);
        let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let mut file = match made {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            made => made.map_err(cannot_write(&path))?,
        };
        let written = (|| {
            let _ = file.try_lock();
            Owner::of(&path).give(&file, None);
            file.write_all(&marker.to_bytes())?;
            file.sync_all()?;
            atomic::sync_directory(layout.auth())
        })();
        if let Err(e) = written {
            let _ = std::fs::remove_file(&path);
            return Err(cannot_write(&path)(e));
        }
        let asked =
            Asked { layout: layout.clone(), fingerprint: grant.fingerprint().to_owned(), marker, file };
        // A marker becomes the one of an ended grant by its name: that was free because of it.
        if asked.was_ended() {
            return asked.withdraw(self).map(|()| None);
        }
        Ok(Some(asked))
    }

    /// Writes down durably that a grant has ended.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn end_grant(
        &self,
        grant: &Grant,
        slot: Slot,
        end: &GrantEnd,
        now: Timestamp,
    ) -> Result<(), VolumeError> {
        let layout = self.volume().layout();
        let marker = self.marker(slot, Some(end.code()), now);
        let ended = layout.auth().join(name(grant.fingerprint(), "ended"));
        atomic::replace(&ended, &marker.to_bytes(), Access::PRIVATE).map_err(cannot_write(&ended))?;
        let asked = layout.auth().join(name(grant.fingerprint(), "asked"));
        atomic::remove_if_there(&asked).map_err(cannot_write(&asked))
    }

    /// A marker that is written now, by this process and under this lock.
    fn marker(&self, slot: Slot, code: Option<&str>, now: Timestamp) -> Marker {
        let (node, lock) = (this_node().to_owned(), self.identity().to_owned());
        Marker { slot, since: now, code: code.map(str::to_owned), node, lock }
    }

    /// Takes back that a grant has ended.
    pub fn revive_grant(&self, grant: &Grant) {
        let path = self.volume().layout().auth().join(name(grant.fingerprint(), "ended"));
        let _ = atomic::remove_if_there(&path);
    }

    /// Ends the grants whose answer was not noted, though the login that came of it is in its slot by now: they were
    /// used up.
    pub fn conclude(&self, grants: &Grants, logins: &BTreeMap<Slot, &Login>, now: Timestamp) {
        for print in &grants.asked {
            let path = grants.directory.join(name(print, "asked"));
            let Some((marker, false)) = held_marker(&path, now) else { continue };
            let is_newer = |login: &&Login| {
                login.grant().fingerprint() != print
                    && login.last_refresh.is_some_and(|refreshed| refreshed >= marker.since)
            };
            if logins.get(&marker.slot).is_some_and(is_newer) {
                let _ = atomic::rename_and_sync(&path, &grants.directory.join(name(print, "ended")));
            }
        }
    }

    /// Forgets the oldest ended grants beyond the bound, but none of these: what still lies about must be known again.
    pub fn forget_ended_grants(&self, grants: &Grants, slots: usize, kept: &BTreeSet<Grant>) {
        let bound = REMEMBERED.0.max(REMEMBERED.1 * slots);
        if grants.ended.len() <= bound {
            return;
        }
        let written = |print: &String| {
            let path = grants.directory.join(name(print, "ended"));
            Some((path.symlink_metadata().ok()?.modified().ok()?, path))
        };
        let forgettable = |print: &&String| !kept.iter().any(|grant| grant.fingerprint() == print.as_str());
        let mut oldest: Vec<_> = grants.ended.iter().filter(forgettable).filter_map(written).collect();
        oldest.sort_unstable();
        // A quarter more than needed, so that this is seldom.
        for (_, path) in oldest.into_iter().take(grants.ended.len() - bound + bound / 4) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Asked {
    /// Whether the grant has been ended by others since it was sent: its login was removed, or a new one took its place.
    #[must_use]
    pub fn was_ended(&self) -> bool {
        self.path("ended").symlink_metadata().is_ok()
    }

    /// The issuer said that the grant is as good as before, or the request never left.
    ///
    /// # Errors
    /// The marker cannot be removed.
    pub fn withdraw(self, _locked: &Locked<'_>) -> Result<(), VolumeError> {
        let path = self.path("asked");
        let removed =
            atomic::remove_if_there(&path).and_then(|()| atomic::sync_directory(self.layout.auth()));
        removed.map_err(cannot_write(&path))
    }

    /// The grant has ended.
    ///
    /// # Errors
    /// That cannot be written down; the marker says still that it was sent.
    pub fn end(mut self, _locked: &Locked<'_>, end: &GrantEnd) -> Result<(), VolumeError> {
        let (asked, ended) = (self.path("asked"), self.path("ended"));
        self.marker.code = Some(end.code().to_owned());
        let line = self.marker.to_bytes();
        if self.was_ended() {
            return atomic::remove_if_there(&asked).map_err(cannot_write(&asked));
        }
        // The reason is only to be shown: that it has ended is said by the name.
        let _ = self.file.write_all_at(&line, 0);
        match atomic::rename_and_sync(&asked, &ended) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                atomic::replace(&ended, &line, Access::PRIVATE).map_err(cannot_write(&ended))
            }
            renamed => renamed.map_err(cannot_write(&ended)),
        }
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.layout.auth().join(name(&self.fingerprint, kind))
    }
}

/// A marker that cannot be read still says that there is one.
fn read_marker(path: &Path, now: Timestamp) -> Marker {
    let marker = PrivateFile::read(path).ok().and_then(|file| serde_json::from_slice(&file.content).ok());
    marker.unwrap_or_else(|| Marker::unreadable(now))
}

/// A marker, and whether its maker still waits; `None` if it is gone.
fn held_marker(path: &Path, now: Timestamp) -> Option<(Marker, bool)> {
    let file = match OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        opened => opened.ok(),
    };
    let marker = read_marker(path, now);
    let is_young = now.since(marker.since) < IN_USE_AT_MOST && marker.since <= now;
    let held = match file.map(|file| file.try_lock_shared()) {
        Some(Err(TryLockError::WouldBlock)) => true,
        Some(Ok(())) if marker.node == this_node() => false,
        _ => is_young,
    };
    Some((marker, held))
}

/// Takes away the marker of a request whose answer is not known; false if another process did. Moved aside first: of two
/// that their locks do not keep apart only one can do that, and it puts back what is not the marker it saw.
fn take_over(path: &Path, before: &Marker, now: Timestamp) -> io::Result<bool> {
    let aside = Draft::of(path);
    match std::fs::rename(path, &aside) {
        // One that an old state told of has no file.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(before.node.is_empty()),
        moved => moved?,
    }
    let is_the_same = read_marker(&aside, now).since == before.since;
    if !is_the_same {
        let _ = std::fs::hard_link(&aside, path);
    }
    std::fs::remove_file(&aside)?;
    Ok(is_the_same)
}

fn name(fingerprint: &str, kind: &str) -> String {
    format!(".grant-{fingerprint}.{kind}")
}

#[cfg(test)]
mod tests {
    use records::Secret;

    use super::*;
    use crate::clock;
    use crate::fixture::volume;

    fn grant(token: &str) -> Grant {
        Grant::of(&Secret::new(token))
    }

    fn status_of(volume: &Volume, token: &str) -> GrantStatus {
        volume.grants().unwrap().status(&grant(token), clock::now())
    }

    #[test]
    fn a_grant_that_is_with_the_issuer_is_sent_by_nobody_else() {
        let (_dir, volume) = volume();
        let now = clock::now();
        let locked = volume.lock().unwrap();
        let asked = locked.ask(&grant("rt"), Slot::FIRST, None, now).unwrap().unwrap();
        assert!(matches!(status_of(&volume, "rt"), GrantStatus::WithIssuer(_)));
        assert_eq!(volume.grants().unwrap().with_issuer(now).len(), 1);
        assert!(locked.ask(&grant("rt"), Slot::FIRST, None, now).unwrap().is_none());
        assert_eq!(status_of(&volume, "another"), GrantStatus::Good);
        asked.withdraw(&locked).unwrap();
        assert_eq!(status_of(&volume, "rt"), GrantStatus::Good);
    }

    #[test]
    fn a_grant_whose_asker_is_gone_is_unanswered_and_may_be_sent_again_on_purpose() {
        let (_dir, volume) = volume();
        let locked = volume.lock().unwrap();
        drop(locked.ask(&grant("rt"), Slot::FIRST, None, Timestamp::from_seconds(5)).unwrap());
        let GrantStatus::Unanswered(marker) = status_of(&volume, "rt") else { panic!("not unanswered") };
        assert_eq!((marker.slot, marker.since), (Slot::FIRST, Timestamp::from_seconds(5)));
        let again = |marker| locked.ask(&grant("rt"), Slot::FIRST, Some(marker), clock::now()).unwrap();
        let taken = again(&marker).unwrap();
        assert!(again(&marker).is_none(), "another process was quicker");
        assert!(matches!(status_of(&volume, "rt"), GrantStatus::WithIssuer(_)));
        drop(taken);
    }

    #[test]
    fn one_of_another_node_is_with_the_issuer_as_long_as_a_request_can_last() {
        let (dir, volume) = volume();
        let now = clock::now();
        let marker = format!(r#"{{"slot": 2, "since": "{now}", "node": "elsewhere", "lock": "1:2"}}"#);
        let path = dir.path().join(name(grant("rt").fingerprint(), "asked"));
        std::fs::write(&path, marker).unwrap();
        let status = |now| volume.grants().unwrap().status(&grant("rt"), now);
        assert!(matches!(status(now), GrantStatus::WithIssuer(_)));
        assert!(matches!(status(now.plus(IN_USE_AT_MOST)), GrantStatus::Unanswered(_)));
    }

    #[test]
    fn an_ended_grant_stays_known_with_its_reason() {
        let (_dir, volume) = volume();
        let locked = volume.lock().unwrap();
        let now = clock::now();
        let asked = locked.ask(&grant("rt-1"), Slot::FIRST, None, now).unwrap().unwrap();
        assert!(!asked.was_ended());
        asked.end(&locked, &GrantEnd::Refused("refresh_token_reused".to_owned())).unwrap();
        locked.end_grant(&grant("rt-2"), Slot::FIRST, &GrantEnd::Removed, now).unwrap();
        let code = |token| match status_of(&volume, token) {
            GrantStatus::Ended(marker) => marker.code.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (code("rt-1").as_str(), code("rt-2").as_str()),
            ("refresh_token_reused", records::grant::REMOVED)
        );
        for token in ["rt-1", "rt-2"] {
            assert!(locked.ask(&grant(token), Slot::FIRST, None, now).unwrap().is_none());
            assert!(matches!(status_of(&volume, token), GrantStatus::Ended(_)));
        }
        assert!(!volume.grants().unwrap().asked.iter().any(|print| print == grant("rt-1").fingerprint()));
    }

    #[test]
    fn one_that_others_ended_meanwhile_is_known() {
        let (_dir, volume) = volume();
        let locked = volume.lock().unwrap();
        let asked = locked.ask(&grant("rt"), Slot::FIRST, None, clock::now()).unwrap().unwrap();
        locked.end_grant(&grant("rt"), Slot::FIRST, &GrantEnd::Removed, clock::now()).unwrap();
        assert!(asked.was_ended());
        asked.end(&locked, &GrantEnd::Used).unwrap();
        assert!(matches!(status_of(&volume, "rt"), GrantStatus::Ended(_)));
    }

    #[test]
    fn the_oldest_ended_grants_are_forgotten_beyond_the_bound() {
        let (dir, volume) = volume();
        for number in 0..=REMEMBERED.0 {
            std::fs::write(dir.path().join(format!(".grant-{number:016x}.ended")), "").unwrap();
        }
        let locked = volume.lock().unwrap();
        let grants = volume.grants().unwrap();
        locked.forget_ended_grants(&grants, 1, &BTreeSet::new());
        let left = volume.grants().unwrap().ended.len();
        assert!(left <= REMEMBERED.0 && left > REMEMBERED.0 / 2, "{left}");
    }
}
