//! The heartbeats of the rotator, of LiteLLM's callback and of `lane-mirror`.

use std::path::{Path, PathBuf};

use durable_file::atomic::{self, Access};
use durable_file::private_file::PrivateFile;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use records::Timestamp;
use records::heartbeat::Heartbeat;
use records::mirroring::Mirroring;
use records::replicas::{self, Report};

use crate::error::cannot_write;
use crate::{Locked, Volume, VolumeError, writers};

impl Volume {
    /// When a pass last ended, whether it published anything or not. Before the first one, when the published record was
    /// written: that a rotator never runs must be noticed, too.
    #[must_use]
    pub fn last_pass(&self) -> Option<Timestamp> {
        written_at(&self.layout().last_pass()).or_else(|| self.published_at())
    }

    /// Whether a pass has ever ended.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        written_at(&self.layout().last_pass()).is_some()
    }

    /// The last heartbeat of the callback of LiteLLM, and of each of its replicas.
    #[must_use]
    pub fn heartbeats(&self) -> Vec<Heartbeat> {
        let content = |path: PathBuf| PrivateFile::read(&path).map(|file| file.content).unwrap_or_default();
        let mut heartbeats = replicas::heartbeats(&content(self.layout().reported(Report::Heartbeat)));
        heartbeats.extend(Heartbeat::parse(&content(self.layout().callback())));
        heartbeats
    }

    /// What came of the last run of `lane-mirror`; `None` where none has run.
    #[must_use]
    pub fn mirroring(&self) -> Option<Mirroring> {
        Mirroring::parse(&PrivateFile::read(&self.layout().mirroring()).ok()?.content)
    }

    /// Keeps what came of a run of `lane-mirror`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_mirroring(&self, mirroring: &Mirroring) -> Result<(), VolumeError> {
        let path = self.layout().mirroring();
        atomic::replace(&path, &mirroring.bytes(), Access { mode: 0o644, group: None })
            .map_err(cannot_write(&path))
    }
}

impl Locked<'_> {
    /// Notes that a pass of this process has ended. No decision depends on it, so it is not synced to the disk.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn end_pass(&self) -> Result<(), VolumeError> {
        let path = self.volume().layout().last_pass();
        let touched = atomic::open_private(&path).and_then(|mark| {
            writers::add(&mark, self.identity())?;
            // The file system's own time, as for every other file. Every user who may write the file may set it so.
            Ok(futimens(&mark, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?)
        });
        touched.map_err(cannot_write(&path))
    }
}

/// When a file was last written; `None` if there is no file.
pub(crate) fn written_at(path: &Path) -> Option<Timestamp> {
    Some(Timestamp::from_system_time(std::fs::symlink_metadata(path).ok()?.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;
    use crate::clock;
    use crate::fixture::volume;

    #[test]
    fn a_pass_that_ended_is_known_by_its_mark_and_before_the_first_by_the_record() {
        let (dir, volume) = volume();
        assert_eq!(volume.last_pass(), None);
        let locked = volume.lock().unwrap();
        locked.publish(b"{}", Access::PRIVATE).unwrap();
        assert_eq!(volume.last_pass(), volume.published_at());
        assert!(!volume.has_passed());
        let an_hour_ago = std::time::SystemTime::now() - Duration::from_hours(1);
        let set = |name: &str| File::open(dir.path().join(name)).unwrap().set_modified(an_hour_ago).unwrap();
        set("auth.json");
        locked.end_pass().unwrap();
        set(".last-pass");
        assert!(volume.has_passed());
        assert_eq!(volume.last_pass(), Some(Timestamp::from_system_time(an_hour_ago)));
        locked.end_pass().unwrap();
        assert!(clock::now().since(volume.last_pass().unwrap()) < Duration::from_mins(1));
    }
}
