//! The names of a file's next content before it takes its place: `.NAME.NODE-PID-TIME-COUNT.new`, one for each draft.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use records::{Secret, Timestamp};

/// How long a live process on another node may be filling a draft. A refresh takes 20 s at most, and storing its answer is
/// tried for some seconds more.
pub const LONGEST_USE: Duration = Duration::from_mins(2);

/// The names of drafts, which no other process uses.
#[derive(Debug)]
pub struct Draft;

impl Draft {
    /// The path of a new draft of the file at `path`, in the same directory.
    #[must_use]
    pub fn of(path: &Path) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let time = Timestamp::from_system_time(SystemTime::now()).milliseconds();
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}-{}-{time:x}-{count}.new", this_node(), std::process::id()));
        path.with_file_name(name)
    }

    /// The name of the file that a name is a draft of, if it is one.
    #[must_use]
    pub fn target(name: &str) -> Option<&str> {
        name.strip_prefix('.')?.strip_suffix(".new")?.rsplit_once('.').map(|(target, _)| target)
    }

    /// Whether a process may still be filling this open draft. A process on this node holds a lock on it. Locks may not
    /// reach other nodes, so there the draft's age decides.
    #[must_use]
    pub fn is_in_use(name: &str, file: &File, now: Timestamp) -> bool {
        let is_of_this_node = name
            .strip_suffix(".new")
            .and_then(|name| name.rsplit_once('.'))
            .is_some_and(|(_, maker)| maker.split_once('-').is_some_and(|(node, _)| node == this_node()));
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => true,
            Ok(()) if is_of_this_node => false,
            Ok(()) | Err(TryLockError::Error(_)) => is_young(file, now),
        }
    }
}

fn is_young(file: &File, now: Timestamp) -> bool {
    let written = file.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|written| now.since(Timestamp::from_system_time(written)) < LONGEST_USE)
}

/// Eight hexadecimal digits that identify this boot of this machine. Within it, locks show what is in use.
#[must_use]
pub fn this_node() -> &'static str {
    static NODE: OnceLock<String> = OnceLock::new();
    NODE.get_or_init(|| {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Secret::new(&boot).fingerprint()[..8].to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draft_has_a_name_of_its_own_that_names_its_target() {
        let path = Path::new("/volume/auth-1.json");
        let (one, other) = (Draft::of(path), Draft::of(path));
        assert_ne!(one, other);
        assert_eq!(one.parent(), path.parent());
        assert_eq!(Draft::target(one.file_name().unwrap().to_str().unwrap()), Some("auth-1.json"));
        for name in ["auth-1.json", ".auth-1.json", ".lock", ".new", ".x.new", "auth-1.json.x.new"] {
            assert_eq!(Draft::target(name), None, "{name}");
        }
    }

    #[test]
    fn a_draft_of_this_node_is_in_use_while_it_is_locked_and_one_of_another_node_while_it_is_young() {
        let directory = tempfile::tempdir().unwrap();
        let path = Draft::of(&directory.path().join("auth-1.json"));
        let name = path.file_name().unwrap().to_str().unwrap();
        let maker = File::create(&path).unwrap();
        maker.lock().unwrap();
        let now = Timestamp::from_system_time(SystemTime::now());
        let opened = || File::open(&path).unwrap();
        assert!(Draft::is_in_use(name, &opened(), now));
        drop(maker);
        assert!(!Draft::is_in_use(name, &opened(), now));
        let elsewhere = ".auth-1.json.00000000-7-1-0.new";
        assert!(Draft::is_in_use(elsewhere, &opened(), now));
        assert!(!Draft::is_in_use(elsewhere, &opened(), now.plus(LONGEST_USE)));
    }
}
