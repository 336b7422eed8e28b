//! Who makes passes on a volume, left in the mark of the last pass: two rotators at once on one volume are a mistake,
//! and where their locks do not reach each other a danger.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use durable_file::private_file::PrivateFile;
use records::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Volume, clock};

/// How many are remembered.
const MOST: usize = 8;

/// How long two may overlap when one takes over from the other.
const HAND_OVER: Duration = Duration::from_mins(1);

/// How long ago the one that was here first may have been here last, to be still at work.
const AT_WORK: Duration = Duration::from_hours(1);

/// One rotator, as far as it can be told from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The name of its host, which is its pod's.
    pub host: String,
    /// The lock that it holds while it writes, by device and inode.
    pub lock: String,
    /// When it was first seen.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
}

impl Volume {
    /// Who made the last passes. Nothing, if that cannot be read.
    #[must_use]
    pub fn writers(&self) -> Vec<Writer> {
        let file = PrivateFile::read(&self.layout().last_pass());
        file.ok().and_then(|file| serde_json::from_slice(&file.content).ok()).unwrap_or_default()
    }
}

/// Two that are at work at once, if there are two.
#[must_use]
pub fn rivals(writers: &[Writer], now: Timestamp) -> Option<(&Writer, &Writer)> {
    let at_work = writers.iter().filter(|writer| now.since(writer.last) < AT_WORK);
    let pairs = at_work.clone().flat_map(|one| at_work.clone().map(move |other| (one, other)));
    let overlap = |(one, other): &(&Writer, &Writer)| {
        one.first < other.first && one.last.since(other.first) > HAND_OVER
    };
    pairs.into_iter().find(overlap)
}

/// Writes this process down among them.
pub(crate) fn write_down(mark: &File, lock: &str) -> io::Result<()> {
    let now = clock::now();
    let mut content = vec![0; 1 << 14];
    let read = mark.read_at(&mut content, 0)?;
    let mut writers: Vec<Writer> = serde_json::from_slice(&content[..read]).unwrap_or_default();
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let known = writers.iter().position(|writer| writer.host == host && writer.lock == lock);
    let first = known.map_or(now, |at| writers.remove(at).first.min(now));
    writers.insert(0, Writer { host, lock: lock.to_owned(), first, last: now });
    writers.truncate(MOST);
    let bytes = serde_json::to_vec(&writers).map_err(io::Error::other)?;
    mark.write_all_at(&bytes, 0)?;
    mark.set_len(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(host: &str, first: i64, last: i64) -> Writer {
        let at = |minutes: i64| Timestamp::from_seconds(1_000_000 + 60 * minutes);
        Writer { host: host.to_owned(), lock: "1:2".to_owned(), first: at(first), last: at(last) }
    }

    #[test]
    fn two_at_once_are_rivals_and_one_after_the_other_are_not() {
        let now = Timestamp::from_seconds(1_000_000 + 60 * 100);
        assert!(rivals(&[writer("a", 0, 99), writer("b", 30, 95)], now).is_some());
        assert!(rivals(&[writer("b", 30, 95), writer("a", 0, 99)], now).is_some());
        assert!(rivals(&[writer("a", 0, 60), writer("b", 60, 99)], now).is_none());
        assert!(rivals(&[writer("a", 0, 30), writer("b", 10, 35)], now).is_none(), "long ago");
        assert!(rivals(&[writer("a", 0, 99)], now).is_none());
    }

    #[test]
    fn each_is_written_down_once() {
        let mark = tempfile::tempfile().unwrap();
        for _ in 0..3 {
            write_down(&mark, "1:2").unwrap();
        }
        write_down(&mark, "1:3").unwrap();
        let mut content = String::new();
        std::io::Seek::rewind(&mut &mark).unwrap();
        std::io::Read::read_to_string(&mut &mark, &mut content).unwrap();
        let writers: Vec<Writer> = serde_json::from_str(&content).unwrap();
        assert_eq!(writers.iter().map(|writer| writer.lock.as_str()).collect::<Vec<_>>(), ["1:3", "1:2"]);
    }
}
