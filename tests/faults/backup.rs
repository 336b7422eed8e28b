//! A backup of a volume, by tar.

use std::process::Command;

use tempfile::NamedTempFile;

use crate::faults::volume::Volume;

pub(crate) struct Backup(NamedTempFile);

impl Backup {
    pub(crate) fn of(volume: &Volume) -> Self {
        let archive = NamedTempFile::new().unwrap();
        tar("-cf", &archive, volume);
        Self(archive)
    }

    /// Lays it over what is there now; files that came later stay.
    pub(crate) fn lay_over(&self, volume: &Volume) {
        tar("-xf", &self.0, volume);
    }
}

fn tar(how: &str, archive: &NamedTempFile, volume: &Volume) {
    let mut tar = Command::new("tar");
    let done = tar.arg("-C").arg(volume.path()).arg(how).arg(archive.path()).arg(".").status().unwrap();
    assert!(done.success(), "tar {how}");
}
