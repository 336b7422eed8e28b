//! Where each file is.

use std::io;
use std::path::{Path, PathBuf};

use records::replicas::Report;
use records::{Lane, Slot};

/// The two directories of a volume, and the path of every file in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    auth: PathBuf,
    live: PathBuf,
}

impl Layout {
    /// `auth` holds the masters and the state, `live` what LiteLLM sees. Without `live` it is one directory.
    #[must_use]
    pub fn new(auth: PathBuf, live: Option<PathBuf>) -> Self {
        let live = live.unwrap_or_else(|| auth.clone());
        Self { auth, live }
    }

    /// The directory of the masters.
    #[must_use]
    pub fn auth(&self) -> &Path {
        &self.auth
    }

    /// The directory that LiteLLM sees.
    #[must_use]
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// The directories, each once.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        [&self.auth].into_iter().chain((self.live != self.auth).then_some(&self.live)).map(PathBuf::as_path)
    }

    /// The master of a slot.
    #[must_use]
    pub fn master(&self, slot: Slot) -> PathBuf {
        self.auth.join(slot.file_name())
    }

    /// The published record.
    #[must_use]
    pub fn published(&self) -> PathBuf {
        self.live.join("auth.json")
    }

    /// The record of a lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> PathBuf {
        self.live.join(lane.file_name())
    }

    /// The previous record, while it is being replaced.
    pub(crate) fn published_aside(&self) -> PathBuf {
        self.live.join(".auth.json.before")
    }

    /// The signal that asks for a pass.
    #[must_use]
    pub fn signal(&self) -> PathBuf {
        self.live.join("rotate-now")
    }

    /// The rotator's state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.auth.join("rotator_state.json")
    }

    /// The audit.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.auth.join("audit.jsonl")
    }

    /// How many accounts can serve, for LiteLLM's callback.
    #[must_use]
    pub fn pool(&self) -> PathBuf {
        self.live.join("pool.json")
    }

    /// The records of single models, for LiteLLM's callback.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.live.join("models.json")
    }

    /// The heartbeat of LiteLLM's callback.
    #[must_use]
    pub fn callback(&self) -> PathBuf {
        self.live.join("callback.json")
    }

    /// What the callbacks of several replicas have reported of a kind.
    #[must_use]
    pub fn reported(&self, report: Report) -> PathBuf {
        self.live.join(match report {
            Report::Heartbeat => "callbacks.json",
            Report::Reading => "usage-replicas.json",
            Report::Totals => "agents-replicas.json",
        })
    }

    /// The rotators that make passes. The time of the file is when a pass last ended.
    #[must_use]
    pub fn last_pass(&self) -> PathBuf {
        self.auth.join(".last-pass")
    }

    /// How often the lanes have changed that were mirrored.
    #[must_use]
    pub fn mirrored(&self) -> PathBuf {
        self.auth.join("mirrored.json")
    }

    /// What came of the last run of `lane-mirror`. It is beside the records, so that it goes when their pod does.
    #[must_use]
    pub fn mirroring(&self) -> PathBuf {
        self.live.join("mirror.json")
    }

    /// There if the volume is known to be an older copy of itself.
    #[must_use]
    pub fn restored(&self) -> PathBuf {
        self.auth.join(".restored")
    }

    /// The lock of processes that mirror the lanes.
    #[must_use]
    pub fn mirror_lock(&self) -> PathBuf {
        self.auth.join(".mirror.lock")
    }

    /// What receivers have been notified of.
    #[must_use]
    pub fn notified(&self) -> PathBuf {
        self.auth.join("events.json")
    }

    /// The lock of processes that notify.
    #[must_use]
    pub fn notify_lock(&self) -> PathBuf {
        self.auth.join(".events.lock")
    }

    /// The lock of all writers.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.auth.join(".lock")
    }

    /// The lock of sign-ins to one slot, which is there only while one runs.
    #[must_use]
    pub fn login_lock(&self, slot: Slot) -> PathBuf {
        self.auth.join(format!(".login-{}.lock", slot.number()))
    }

    /// The request to end a sign-in to one slot, which is there only until that sign-in has seen it.
    #[must_use]
    pub fn login_abort(&self, slot: Slot) -> PathBuf {
        self.auth.join(format!(".login-{}.abort", slot.number()))
    }

    /// The slots that have a file, in order, whatever is in it.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn slots(&self) -> io::Result<Vec<Slot>> {
        let mut slots = names(&self.auth)?.filter_map(|name| Slot::from_file_name(&name)).collect::<Vec<_>>();
        slots.sort_unstable();
        Ok(slots)
    }
}

/// The names in a directory that are UTF-8, as all of ours are.
pub(crate) fn names(directory: &Path) -> io::Result<impl Iterator<Item = String>> {
    Ok(std::fs::read_dir(directory)?.flatten().filter_map(|entry| entry.file_name().into_string().ok()))
}
