//! What is known of single grants, in marker files beside the masters, which outlive the state: which grant has been sent to
//! the issuer and when, and which have ended and must never be sent again, wherever they turn up.
//!
//! `.grant-FINGERPRINT.sent` is created durably and exclusively before a request, and is locked while its maker waits for
//! the answer. It is removed if the issuer says that the grant is as good as before, and becomes
//! `.grant-FINGERPRINT.ended` if the grant has ended. One that stays belongs to a request whose answer is not known.

mod marker_file;
mod send_permit;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use durable_file::atomic::{self, Access};
use durable_file::draft::this_node;
use records::grant::{Grant, GrantEnd, GrantStatus, Marker};
use records::{Login, Slot, Timestamp};

use self::marker_file::{ENDED, SENT, name, read, read_with_holder};
use crate::error::{cannot_read, cannot_write};
use crate::layout::names;
use crate::{Locked, Volume, VolumeError};

pub use self::send_permit::SendPermit;

/// How many ended grants are remembered at least, and how many for each slot: the oldest are forgotten first.
const REMEMBERED: usize = 1024;
const REMEMBERED_PER_SLOT: usize = 8;

/// What is known of the grants of a volume.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    directory: PathBuf,
    sent: BTreeSet<String>,
    ended: BTreeSet<String>,
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
            let Some((fingerprint, kind)) = marker_file::parts(name.as_ref()) else { continue };
            match kind {
                SENT => grants.sent.insert(fingerprint.to_owned()),
                ENDED => grants.ended.insert(fingerprint.to_owned()),
                _ => continue,
            };
        }
        grants
    }

    /// What is known of a grant now.
    #[must_use]
    pub fn status(&self, grant: &Grant, now: Timestamp) -> GrantStatus {
        let path = |kind| self.directory.join(name(grant.fingerprint(), kind));
        if self.ended.contains(grant.fingerprint()) {
            return GrantStatus::Ended(read(&path(ENDED), now));
        }
        if !self.sent.contains(grant.fingerprint()) {
            return GrantStatus::Good;
        }
        match read_with_holder(&path(SENT), now) {
            // It has been removed since: the issuer has said that the grant is good.
            None => GrantStatus::Good,
            Some((marker, true)) => GrantStatus::WithIssuer(marker),
            Some((marker, false)) => GrantStatus::Unanswered(marker),
        }
    }

    /// The markers of requests that are under way now, whichever process sent them.
    #[must_use]
    pub fn with_issuer(&self, now: Timestamp) -> Vec<Marker> {
        let marker =
            |fingerprint: &String| read_with_holder(&self.directory.join(name(fingerprint, SENT)), now);
        let markers = self.sent.iter().filter_map(marker);
        markers.filter(|(_, is_held)| *is_held).map(|(marker, _)| marker).collect()
    }

    /// The refreshes under way whose makers hold another lock than this one: two writers that do not exclude each other.
    #[must_use]
    pub fn out_of_reach(&self, locked: &Locked<'_>, now: Timestamp) -> Vec<Marker> {
        let mut markers = self.with_issuer(now);
        markers.retain(|marker| !marker.lock.is_empty() && marker.lock != locked.identity());
        markers
    }

    /// Whether there is no marker at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.ended.is_empty()
    }
}

impl Locked<'_> {
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
        let ended = layout.auth().join(name(grant.fingerprint(), ENDED));
        atomic::replace(&ended, &marker.to_bytes(), Access::PRIVATE).map_err(cannot_write(&ended))?;
        let sent = layout.auth().join(name(grant.fingerprint(), SENT));
        atomic::remove_if_there(&sent).map_err(cannot_write(&sent))
    }

    /// Undoes [`Locked::end_grant`].
    pub fn revive_grant(&self, grant: &Grant) {
        let path = self.volume().layout().auth().join(name(grant.fingerprint(), ENDED));
        let _ = atomic::remove_if_there(&path);
    }

    /// Ends the grants whose answer was not noted though the login that came of it is in its slot by now: they have been
    /// used.
    pub fn end_used_grants(&self, grants: &Grants, logins: &BTreeMap<Slot, &Login>, now: Timestamp) {
        for fingerprint in &grants.sent {
            let path = grants.directory.join(name(fingerprint, SENT));
            let Some((marker, false)) = read_with_holder(&path, now) else { continue };
            let is_newer = |login: &&Login| {
                login.grant().fingerprint() != fingerprint
                    && login.last_refresh.is_some_and(|refreshed| refreshed >= marker.since)
            };
            if logins.get(&marker.slot).is_some_and(is_newer) {
                let _ = atomic::rename_and_sync(&path, &grants.directory.join(name(fingerprint, ENDED)));
            }
        }
    }

    /// Forgets the oldest ended grants beyond the bound, but none of those in `kept`, which are in use somewhere.
    pub fn forget_ended_grants(&self, grants: &Grants, slots: usize, kept: &BTreeSet<Grant>) {
        let bound = REMEMBERED.max(REMEMBERED_PER_SLOT * slots);
        if grants.ended.len() <= bound {
            return;
        }
        let written = |fingerprint: &String| {
            let path = grants.directory.join(name(fingerprint, ENDED));
            Some((path.symlink_metadata().ok()?.modified().ok()?, path))
        };
        let is_forgettable =
            |fingerprint: &&String| !kept.iter().any(|grant| grant.fingerprint() == fingerprint.as_str());
        let mut oldest: Vec<_> = grants.ended.iter().filter(is_forgettable).filter_map(written).collect();
        oldest.sort_unstable();
        // A quarter more than necessary, so that this is done seldom.
        for (_, path) in oldest.into_iter().take(grants.ended.len() - bound + bound / 4) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// A marker as this process writes it now, under this lock.
    fn marker(&self, slot: Slot, code: Option<&str>, now: Timestamp) -> Marker {
        let (node, lock) = (this_node().to_owned(), self.identity().to_owned());
        Marker { slot, since: now, code: code.map(str::to_owned), node, lock }
    }
}
