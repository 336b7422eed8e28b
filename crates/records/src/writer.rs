//! The rotators that make passes on a volume. Two at once are a mistake, and a danger where their locks do not exclude each
//! other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How long two may overlap when one takes over from the other.
const LONGEST_HAND_OVER: Duration = Duration::from_mins(1);

/// A rotator that made a pass within this time is still at work.
const AT_WORK_WITHIN: Duration = Duration::from_hours(1);

/// One rotator, as far as it can be distinguished from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The name of its host, which in a cluster is its pod's.
    pub host: String,
    /// The lock that it holds while it writes, by device and inode.
    pub lock: String,
    /// When its first pass ended.
    pub first: Timestamp,
    /// When its last pass ended.
    pub last: Timestamp,
}

/// Two rotators that are at work at once, if there are any.
#[must_use]
pub fn rivals(writers: &[Writer], now: Timestamp) -> Option<(&Writer, &Writer)> {
    let at_work = writers.iter().filter(|writer| now.since(writer.last) < AT_WORK_WITHIN);
    let pairs = at_work.clone().flat_map(|one| at_work.clone().map(move |other| (one, other)));
    let overlap = |(one, other): &(&Writer, &Writer)| {
        one.first < other.first && one.last.since(other.first) > LONGEST_HAND_OVER
    };
    pairs.into_iter().find(overlap)
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
}
