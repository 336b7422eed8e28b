//! Snapshots: all that answers are made of, read from the digest once for all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use durable_file::{NotRead, PrivateFile};
use overview::digest::{Digest, FILE_NAME, LARGEST, NotADigest};
use overview::finding::Finding;
use overview::findings::{
    digest_broken, digest_missing, digest_not_opened, digest_of_another_release, findings,
};
use overview::observed::Observed;
use records::Timestamp;

/// What reads snapshots.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotReader {
    /// The digest's path.
    path: PathBuf,
}

/// How the accounts stood when the digest was made, judged by now.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) observed: Observed,
    pub(crate) findings: Vec<Finding>,
}

/// The snapshot that several answers are made of, or the finding that hides everything else.
pub(crate) type SharedSnapshot = Result<Arc<Snapshot>, Finding>;

impl SnapshotReader {
    /// Reads the digest in this directory.
    pub(crate) fn of(directory: &Path) -> Self {
        Self { path: directory.join(FILE_NAME) }
    }

    /// Reads the digest. Otherwise gives the finding that it cannot be read, or that it says of a volume that could not be.
    pub(crate) fn read(&self) -> Result<Snapshot, Finding> {
        let file = PrivateFile::read_within(&self.path, LARGEST).map_err(|why| match why {
            NotRead::Missing => digest_missing(&self.path),
            why => digest_not_opened(&self.path, &why.to_string()),
        })?;
        let digest = Digest::parse(&file.content).map_err(|why| match why {
            NotADigest::OtherVersion(_) => digest_of_another_release(&self.path, &why.to_string()),
            NotADigest::Broken(_) => digest_broken(&self.path, &why.to_string()),
        })?;
        let observed = digest.judged_at(Timestamp::from_system_time(SystemTime::now()))?;
        Ok(Snapshot { findings: findings(&observed), observed })
    }
}

impl Snapshot {
    /// The time by which it is judged.
    pub(crate) fn now(&self) -> Timestamp {
        self.observed.overview.now
    }

    /// How long ago the digest was made.
    pub(crate) fn age(&self) -> Duration {
        self.now().since(self.observed.overview.at)
    }
}
