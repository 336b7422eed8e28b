//! The digest: what the page shows, as the rotator leaves it in a directory of the page's own. No token is in it, and
//! unless people are named in full, nothing by which one could be found. Pure.
//!
//! It holds what was observed and not what follows from it, so that the page judges by its own clock. The page may be of
//! another release than the rotator: what a reader does not know it ignores, and a field that is added needs a default. What
//! an earlier reader would take for something else is another version.

use records::{Naming, Timestamp, text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::finding::Finding;
use crate::findings;
use crate::observed::Observed;

/// The digest's name in its directory.
pub const FILE_NAME: &str = "digest.json";

/// The largest digest that is read, in bytes: twice what 10,000 accounts need.
pub const LARGEST: u64 = 16 << 20;

/// The version that this release writes and reads.
const VERSION: u64 = 1;

/// What was observed at one time, for those who may not look themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Digest {
    version: u64,
    /// When it was observed.
    at: Timestamp,
    seen: Seen,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Seen {
    Volume(Box<Observed>),
    /// The volume could not be read, and this is the finding.
    Unreadable(Finding),
}

/// Why bytes are no digest that this release can read.
#[derive(Debug, Error)]
pub enum NotADigest {
    #[error("it is of version {0}, which this release does not read")]
    OtherVersion(u64),
    #[error("it is no digest ({0})")]
    Broken(#[from] serde_json::Error),
}

impl Digest {
    /// The digest of what was observed, or of the finding that nothing could be.
    #[must_use]
    pub fn of(observed: Result<Observed, Finding>, at: Timestamp) -> Self {
        let seen = match observed {
            Ok(observed) => Seen::Volume(Box::new(without_identities(observed))),
            Err(finding) => Seen::Unreadable(finding),
        };
        Self { version: VERSION, at, seen }
    }

    /// The bytes of the file; every text in it is printable and of limited length.
    ///
    /// # Panics
    /// Never: it has string keys only.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = serde_json::to_value(self).expect("a digest has string keys only");
        format!("{}\n", text::document(document)).into_bytes()
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// They are no digest, or one of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotADigest> {
        let document: Value = serde_json::from_slice(bytes)?;
        match document["version"].as_u64() {
            Some(other) if other != VERSION => Err(NotADigest::OtherVersion(other)),
            _ => Ok(serde_json::from_value(document)?),
        }
    }

    /// What was observed, as it is judged at a later time.
    ///
    /// # Errors
    /// The finding that the volume could not be read, or that the digest is too old to say so.
    pub fn judged_at(self, now: Timestamp) -> Result<Observed, Finding> {
        match self.seen {
            Seen::Volume(mut observed) => {
                observed.judge_at(now);
                Ok(*observed)
            }
            Seen::Unreadable(finding) => Err(findings::digest_late(self.at, now).unwrap_or(finding)),
        }
    }
}

fn without_identities(mut observed: Observed) -> Observed {
    if observed.overview.naming == Naming::Masked {
        for who in observed.overview.rows.iter_mut().filter_map(|row| row.who.as_mut()) {
            who.account = None;
        }
    }
    observed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use records::ErrorClass;

    use super::*;
    use crate::finding::Id;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_000_000 + seconds)
    }

    fn unreadable() -> Digest {
        Digest::of(Err(findings::unreadable(ErrorClass::Storage, "cannot read \u{1b}[2J", false)), at(0))
    }

    #[test]
    fn a_volume_that_cannot_be_read_is_said_until_the_digest_is_old() {
        let read = |now| Digest::parse(&unreadable().to_bytes()).unwrap().judged_at(now).unwrap_err();
        assert_eq!(read(at(180)).id, Id::VolumeUnreadable);
        assert_eq!(read(at(180)).message, "cannot read  [2J");
        assert_eq!(read(at(180).plus(Duration::from_millis(1))).id, Id::DigestLate);
        assert_eq!(read(at(-7200)).id, Id::VolumeUnreadable, "a clock that was put back");
    }

    #[test]
    fn another_version_is_named_and_what_is_no_digest_is_not_taken_for_one() {
        let refused = |text: &str| Digest::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            refused(r#"{"version": 7, "else": 1}"#),
            "it is of version 7, which this release does not read"
        );
        let seen_by_a_later_release =
            r#"{"version": 1, "at": 1, "seen": {"unreadable": {"id": "a-new-kind", "message": ""}}}"#;
        for text in ["", "[]", "{}", r#"{"version": 1}"#, seen_by_a_later_release] {
            assert!(refused(text).starts_with("it is no digest ("), "{text}: {}", refused(text));
        }
    }
}
