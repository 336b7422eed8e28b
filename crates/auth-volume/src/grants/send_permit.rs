//! The right to send a grant to the issuer, which one process at a time has.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use durable_file::Owner;
use durable_file::atomic::{self, Access};
use records::grant::{Grant, GrantEnd, Marker};
use records::{Slot, Timestamp};

use super::marker_file::{ENDED, SENT, claim, name};
use crate::error::cannot_write;
use crate::lock::is_still_at;
use crate::{Layout, Locked, VolumeError, clock};

/// The right to send one grant. Its marker stays locked as long as the value lives.
#[derive(Debug)]
pub struct SendPermit {
    layout: Layout,
    fingerprint: String,
    marker: Marker,
    file: File,
    /// When it was given, in time since this machine started.
    given: Duration,
}

impl Locked<'_> {
    /// Takes the right to send a grant, and writes down durably that it is being sent. `None` if another process has that
    /// right, if it had the right and its answer is not known, or if the grant has ended. `again` is the marker of a request
    /// without an answer, for a grant that is to be sent in spite of it.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn permit_sending(
        &self,
        grant: &Grant,
        slot: Slot,
        again: Option<&Marker>,
        now: Timestamp,
    ) -> Result<Option<SendPermit>, VolumeError> {
        let layout = self.volume().layout();
        let path = layout.auth().join(name(grant.fingerprint(), SENT));
        if let Some(before) = again
            && !claim(&path, before, now).map_err(cannot_write(&path))?
        {
            return Ok(None);
        }
        let marker = self.marker(slot, None, now);
        let created = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let mut file = match created {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            created => created.map_err(cannot_write(&path))?,
        };
        if let Err(e) = hold(&mut file, &marker, &path, layout) {
            let _ = std::fs::remove_file(&path);
            return Err(cannot_write(&path)(e));
        }
        let fingerprint = grant.fingerprint().to_owned();
        let permit =
            SendPermit { layout: layout.clone(), fingerprint, marker, file, given: clock::since_boot() };
        // When a grant ends, its marker is renamed, so the name of the marker was free again.
        if permit.has_ended() {
            return permit.withdraw(self).map(|()| None);
        }
        Ok(Some(permit))
    }
}

impl SendPermit {
    /// Whether another process has ended the grant since: its login was removed, or a new one took its place.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.path(ENDED).symlink_metadata().is_ok()
    }

    /// How long ago it was given, also if this process has stood still since.
    #[must_use]
    pub fn age(&self) -> Duration {
        clock::since_boot().saturating_sub(self.given)
    }

    /// Whether the marker is still the one that was made for it, as another process takes over one without an answer.
    fn is_ours(&self) -> bool {
        is_still_at(&self.file, &self.path(SENT)).unwrap_or(false)
    }

    /// Gives the right back: the issuer has said that the grant is as good as before, or the request was never sent.
    ///
    /// # Errors
    /// The marker cannot be removed.
    pub fn withdraw(self, _locked: &Locked<'_>) -> Result<(), VolumeError> {
        if !self.is_ours() {
            return Ok(());
        }
        let path = self.path(SENT);
        let removed =
            atomic::remove_if_there(&path).and_then(|()| atomic::sync_directory(self.layout.auth()));
        removed.map_err(cannot_write(&path))
    }

    /// Writes down durably that the grant has ended.
    ///
    /// # Errors
    /// The volume cannot be written. The marker still says that the grant was sent.
    pub fn end(mut self, _locked: &Locked<'_>, end: &GrantEnd) -> Result<(), VolumeError> {
        let (sent, ended) = (self.path(SENT), self.path(ENDED));
        self.marker.code = Some(end.code().to_owned());
        let line = self.marker.to_bytes();
        if self.has_ended() {
            return atomic::remove_if_there(&sent).map_err(cannot_write(&sent));
        }
        // The reason is only shown: that the grant has ended is said by the name.
        let _ = self.file.write_all_at(&line, 0);
        match atomic::rename_and_sync(&sent, &ended) {
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

/// Locks a new marker's file, and writes the marker durably.
fn hold(file: &mut File, marker: &Marker, path: &Path, layout: &Layout) -> io::Result<()> {
    let _ = file.try_lock();
    Owner::of(path).give_to(file, None);
    file.write_all(&marker.to_bytes())?;
    file.sync_all()?;
    atomic::sync_directory(layout.auth())
}
