//! What is observed of a volume, a rotator and LiteLLM, before anything is thought of it.

use std::path::PathBuf;
use std::time::Duration;

use records::grant::Marker;
use records::heartbeat::Heartbeat;
use records::probe::ProbeResult;
use records::writer::Writer;
use records::{Slot, Timestamp};

use crate::Overview;

/// What can be observed without a lock, by whoever may read the volume.
#[derive(Clone, Debug)]
pub struct Observed {
    /// How the accounts stand.
    pub overview: Overview,
    /// Why the state that is stored could not be used, if it could not.
    pub state_note: Option<String>,
    /// What else the next pass will report.
    pub notes: Vec<String>,
    /// The slots' files.
    pub files: Vec<SlotFile>,
    /// Names of files that look like logins, and are in no slot.
    pub misnamed_logins: Vec<String>,
    /// When the oldest signal was left that no pass has taken.
    pub waiting_since: Option<Timestamp>,
    /// When the rotator last ended a pass; before the first one, when the published record was written.
    pub last_pass: Option<Timestamp>,
    /// Whether it ever ended one.
    pub has_passed: bool,
    /// How often it does.
    pub interval: Duration,
    /// Who makes the passes.
    pub writers: Vec<Writer>,
    /// What LiteLLM's callback last said of itself.
    pub heartbeat: Option<Heartbeat>,
    /// What only the doctor looks at.
    pub examined: Option<Examined>,
}

/// A slot's file, beside its login.
#[derive(Clone, Debug)]
pub struct SlotFile {
    /// Which slot.
    pub slot: Slot,
    /// Where it is.
    pub path: PathBuf,
    /// Whether others than its owner may read or write it.
    pub too_open: bool,
    /// When its access token was made.
    pub issued: Option<Timestamp>,
    /// The subscription, as its token says it.
    pub plan: Option<String>,
}

/// What only the doctor looks at: it takes the lock for a moment, tries the volume out, and may ask the provider.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The volume's directories.
    pub directories: Vec<Directory>,
    /// Why they could not be tried out.
    pub not_tried: Option<String>,
    /// Files that were written later than now.
    pub from_the_future: Vec<(PathBuf, Timestamp)>,
    /// Refreshes under way whose makers hold another lock than ours.
    pub out_of_reach: Vec<Marker>,
    /// Where codex is, or the name that was looked for.
    pub codex: Result<PathBuf, String>,
    /// What the provider says of each account; empty unless it was asked.
    pub probed: Vec<(Slot, ProbeResult)>,
}

/// A directory that was tried out.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is a Secret or a `ConfigMap`, which the kubelet overwrites.
    pub is_projected: bool,
    /// What it cannot do.
    pub faults: Vec<DirectoryFault>,
    /// Whether it has room for another login.
    pub has_room: bool,
    /// Whether it was tried out at all.
    pub is_tried: bool,
}

/// What a directory cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFault {
    /// In words that follow the directory's path.
    pub said: String,
    /// Whether only a volume of another kind can do it.
    pub is_of_its_kind: bool,
}

impl Observed {
    /// How long ago the last pass ended, or a first one could have.
    #[must_use]
    pub fn last_pass_age(&self) -> Option<Duration> {
        self.last_pass.map(|at| self.overview.at.since(at))
    }
}
