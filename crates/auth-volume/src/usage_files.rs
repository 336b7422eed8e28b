//! The files in which LiteLLM's callback leaves how much each account and each agent has used, one for each of LiteLLM's
//! processes, and the files in which the rotator tells the callback how many accounts can serve, and which serve single models.

use std::path::Path;
use std::time::Duration;

use durable_file::atomic::{self, Access};
use durable_file::private_file::PrivateFile;
use records::Timestamp;
use records::agents::{self, Totals};
use records::readings::{self, Reading};
use records::replicas::Report;

use crate::error::cannot_write;
use crate::heartbeats::written_at;
use crate::layout::names;
use crate::{Locked, Volume, VolumeError};

/// What the names of files begin with that say how much accounts have used.
const USAGE: &str = "usage-";

/// The same of agents.
const AGENTS: &str = "agents-";

/// How many files of a kind are read: LiteLLM has fewer processes, and the directory is not ours alone.
const MOST: usize = 16;

/// The largest file that is read, in bytes: readings of 64 accounts with all their headers, or a thousand totals.
const LARGEST: u64 = 256 << 10;

/// A file that was not written for this long is of a process that has ended.
const OF_AN_ENDED_PROCESS: Duration = Duration::from_hours(24);

impl Volume {
    /// The readings that the callback has left, the oldest first. What cannot be read has none.
    #[must_use]
    pub fn usage_readings(&self, now: Timestamp) -> Vec<Reading> {
        let files = self.content_of_files(USAGE);
        let mut readings: Vec<_> = files.flat_map(|content| readings::parse(&content, now)).collect();
        readings.sort_by_key(|reading| reading.at);
        readings
    }

    /// How much each agent has used since the callback began to count, all of LiteLLM's processes together.
    #[must_use]
    pub fn agent_totals(&self) -> Totals {
        let mut totals = Totals::new();
        for content in self.content_of_files(AGENTS) {
            agents::add(&mut totals, &content);
        }
        totals
    }

    /// Keeps what the callback of a replica has reported, where that of a LiteLLM in the same pod is found.
    ///
    /// # Errors
    /// It cannot be written. What is known already is still there.
    pub fn keep_report(&self, report: Report, document: &[u8], now: Timestamp) -> Result<(), VolumeError> {
        let path = self.layout().reported(report);
        let before = PrivateFile::read_within(&path, LARGEST).map(|file| file.content).unwrap_or_default();
        let Some(after) = report.added(&before, document, now) else { return Ok(()) };
        atomic::replace(&path, &after, Access { mode: 0o644, group: None }).map_err(cannot_write(&path))
    }

    fn content_of_files(&self, kind: &str) -> impl Iterator<Item = Vec<u8>> {
        let files = self.files_of_processes(kind).into_iter().take(MOST);
        let read = |name| PrivateFile::read_within(&self.layout().live().join(name), LARGEST).ok();
        files.filter_map(read).map(|file| file.content)
    }

    fn files_of_processes(&self, kind: &str) -> Vec<String> {
        let is_one =
            |name: &String| name.strip_prefix(kind).is_some_and(|rest| rest.strip_suffix(".json").is_some());
        let mut names: Vec<_> = names(self.layout().live()).into_iter().flatten().filter(is_one).collect();
        names.sort_unstable();
        names
    }
}

impl Locked<'_> {
    /// Tells the callback how many accounts can serve, unless the file says so already.
    ///
    /// # Errors
    /// It cannot be written. What it said before is still there.
    pub fn publish_pool(&self, summary: &[u8], access: Access) -> Result<(), VolumeError> {
        replace_if_new(&self.volume().layout().pool(), summary, access).map(drop)
    }

    /// Gives the callback the records of single models, or none. Says whether they are others than before.
    ///
    /// # Errors
    /// The file cannot be written or removed. What it said before is still there.
    pub fn publish_models(&self, records: Option<&[u8]>, access: Access) -> Result<bool, VolumeError> {
        let path = self.volume().layout().models();
        match records {
            Some(records) => replace_if_new(&path, records, access),
            None => atomic::remove_if_there(&path).map(|()| false).map_err(cannot_write(&path)),
        }
    }

    /// Removes the files of processes that have ended.
    pub fn tidy_usage_files(&self, now: Timestamp) {
        let names = [USAGE, AGENTS].map(|kind| self.volume().files_of_processes(kind));
        for name in names.into_iter().flatten() {
            let path = self.volume().layout().live().join(name);
            if written_at(&path).is_some_and(|written| now.since(written) > OF_AN_ENDED_PROCESS) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

fn replace_if_new(path: &Path, content: &[u8], access: Access) -> Result<bool, VolumeError> {
    if PrivateFile::read(path).is_ok_and(|file| file.content == content) {
        return Ok(false);
    }
    atomic::replace(path, content, access).map_err(cannot_write(path))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::clock;
    use crate::fixture::volume;

    fn reading(account: &str, at: i64) -> String {
        format!(
            r#"{{"version": 1, "readings": [{{"at": {at}, "account_id": "{account}", "headers": {{
                "x-codex-primary-used-percent": "42", "x-codex-primary-window-minutes": "300"}}}}]}}"#
        )
    }

    #[test]
    fn the_readings_of_all_processes_are_read_and_nothing_else_in_the_directory() {
        let (dir, volume) = volume();
        let write = |name: &str, content: &str| fs::write(dir.path().join(name), content).unwrap();
        write("usage-b.json", &reading("acct-ann", 20));
        write("usage-a.json", &reading("acct-ann", 30));
        write("usage-c.json", "{half");
        write("usage-d.txt", &reading("acct-ben", 10));
        fs::create_dir(dir.path().join("usage-e.json")).unwrap();
        std::os::unix::fs::symlink("usage-a.json", dir.path().join("usage-f.json")).unwrap();
        File::create(dir.path().join("usage-g.json")).unwrap().set_len(LARGEST + 1).unwrap();
        let readings = volume.usage_readings(clock::now());
        assert_eq!(readings.iter().map(|reading| reading.at.seconds()).collect::<Vec<_>>(), [20, 30]);
    }

    #[test]
    fn what_agents_have_used_is_the_sum_of_all_processes() {
        let (dir, volume) = volume();
        let total = r#"{"totals": [{"agent": "ann", "account_id": "acct-1", "requests": 2}]}"#;
        for name in ["agents-a.json", "agents-b.json", "usage-c.json"] {
            fs::write(dir.path().join(name), total).unwrap();
        }
        fs::write(dir.path().join("agents-d.json"), "{half").unwrap();
        let totals = volume.agent_totals();
        assert_eq!(totals.values().map(|used| used.requests).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn the_files_of_a_process_that_has_ended_go_after_a_day() {
        let (dir, volume) = volume();
        for name in ["usage-a.json", "agents-a.json"] {
            let path = dir.path().join(name);
            fs::write(&path, reading("acct-ann", 20)).unwrap();
            let locked = volume.lock().unwrap();
            locked.tidy_usage_files(clock::now());
            assert!(path.exists());
            let long_ago = std::time::SystemTime::now() - Duration::from_hours(25);
            File::open(&path).unwrap().set_modified(long_ago).unwrap();
            locked.tidy_usage_files(clock::now());
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_the_callback_is_told_of_the_pool_is_written_when_it_changes() {
        let (dir, volume) = volume();
        let locked = volume.lock().unwrap();
        let path = dir.path().join("pool.json");
        locked.publish_pool(b"{}", Access::PRIVATE).unwrap();
        let first = fs::metadata(&path).unwrap().modified().unwrap();
        locked.publish_pool(b"{}", Access::PRIVATE).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), first);
        locked.publish_pool(b"{ }", Access::PRIVATE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{ }");
    }
}
