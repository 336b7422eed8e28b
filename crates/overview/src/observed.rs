//! What is observed of a volume, a rotator and LiteLLM, before it is judged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use records::counters::Counters;
use records::grant::Marker;
use records::heartbeat::Heartbeat;
use records::mirroring::Mirroring;
use records::probe::ProbeResult;
use records::writer::Writer;
use records::{Slot, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use crate::Overview;

/// What can be observed without a lock, by any user who may read the volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observed {
    pub overview: Overview,
    /// Why the stored state cannot be used, if it cannot.
    pub state_note: Option<String>,
    /// What else the next pass will report.
    pub notes: Vec<String>,
    pub files: Vec<SlotFile>,
    /// The names of files that look like logins and are in no slot.
    pub misnamed_logins: Vec<String>,
    /// When the oldest signal was left that no pass has taken.
    pub waiting_since: Option<Timestamp>,
    /// When a pass last ended; before the first one, when the published record was written.
    pub last_pass: Option<Timestamp>,
    /// Whether a pass has ever ended.
    pub has_passed: bool,
    /// How often the rotator makes a pass.
    pub interval: Duration,
    /// The rotators that made the last passes.
    pub writers: Vec<Writer>,
    /// The last heartbeat of LiteLLM's callback.
    pub heartbeat: Option<Heartbeat>,
    /// What came of the last run of `lane-mirror`, where one runs.
    #[serde(default)]
    pub mirroring: Option<Mirroring>,
    /// What the rotator has counted.
    pub counters: Counters,
    /// What only the doctor examines.
    #[serde(skip)]
    pub examined: Option<Examined>,
}

/// A slot's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlotFile {
    pub slot: Slot,
    #[serde(serialize_with = "shown")]
    pub path: PathBuf,
    /// Whether others than its owner may read or write it.
    pub too_open: bool,
    /// When its access token was issued.
    pub issued: Option<Timestamp>,
    /// The subscription that its token names.
    pub plan: Option<String>,
}

/// What only the doctor examines: it takes the lock for a moment, checks the directories, and may ask the provider.
#[derive(Clone, Debug)]
pub struct Examined {
    pub directories: Vec<Directory>,
    /// Why the directories could not be checked.
    pub not_tried: Option<String>,
    /// Files whose time is later than now.
    pub from_the_future: Vec<(PathBuf, Timestamp)>,
    /// The refreshes under way whose makers hold another lock than ours.
    pub out_of_reach: Vec<Marker>,
    /// Where codex is, or the name that was not found.
    pub codex: Result<PathBuf, String>,
    /// What the provider says of each account; empty unless it was asked.
    pub probed: Vec<(Slot, ProbeResult)>,
}

/// A directory of the volume.
#[derive(Clone, Debug)]
pub struct Directory {
    pub path: PathBuf,
    /// Whether it is a Secret or a `ConfigMap`, which the kubelet overwrites.
    pub is_projected: bool,
    pub faults: Vec<DirectoryFault>,
    /// Whether it has room for another login.
    pub has_room: bool,
    /// Whether it was checked at all.
    pub is_tried: bool,
}

/// Something that a directory cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFault {
    /// The words that follow the directory's path.
    pub message: String,
    /// Whether only a volume of another kind can do it.
    pub is_of_its_kind: bool,
}

impl Observed {
    /// Judges by a later time than that at which it was observed.
    pub(crate) fn judge_at(&mut self, now: Timestamp) {
        self.overview.now = now;
        for who in self.overview.rows.iter_mut().filter_map(|row| row.who.as_mut()) {
            who.usage = who.usage.take().and_then(|usage| usage.current(now));
            who.models.retain(|_, until| *until > now);
        }
    }

    /// How long ago the last pass ended, or a first one could have.
    #[must_use]
    pub fn last_pass_age(&self) -> Option<Duration> {
        self.last_pass.map(|at| self.overview.now.since(at))
    }
}

/// A path is only shown, so one that is not UTF-8 may lose what it is not.
fn shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
