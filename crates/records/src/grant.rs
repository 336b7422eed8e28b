//! What is known of one grant: whether it may be sent to the issuer, is being sent, or must never be sent again.

use serde::{Deserialize, Serialize};

use crate::{Secret, Slot, Timestamp};

/// The code of a grant that was used up.
pub const USED: &str = "refresh_token_used";

/// The code of a grant that an operator took away.
pub const REMOVED: &str = "removed";

/// A login's grant, known by a fingerprint of its refresh token (of its access token, if it has none).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grant(pub(crate) String);

/// What is known of one grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GrantStatus {
    /// Nothing: it may be sent.
    #[default]
    Good,
    /// A process waits for the issuer's answer.
    WithIssuer(Marker),
    /// It was sent, and the issuer's answer is not known.
    Unanswered(Marker),
    /// It works no more.
    Ended(Marker),
}

/// The content of a marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The slot whose login it belonged to.
    pub slot: Slot,
    /// When it was sent, or when it ended.
    pub since: Timestamp,
    /// The issuer's code, if that is what ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Which boot of which machine wrote this.
    #[serde(default)]
    pub node: String,
    /// The lock that its writer held, by device and inode: another one's is a lock that does not reach ours.
    #[serde(default)]
    pub lock: String,
}

/// What ended a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The issuer gave another one for it, or a new login took its place.
    Used,
    /// The issuer said so, by this code.
    Refused(String),
    /// An operator took the login away.
    Removed,
}

impl Grant {
    /// The grant that this token is.
    #[must_use]
    pub fn of(token: &Secret) -> Self {
        Self(token.fingerprint())
    }

    /// The fingerprint, which may be shown and be a part of a file's name.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0
    }
}

impl Marker {
    /// Stands for what a state says that was written before grants had markers, and for a marker that cannot be read.
    #[must_use]
    pub fn unreadable(now: Timestamp) -> Self {
        Self { slot: Slot::FIRST, since: now, code: None, node: String::new(), lock: String::new() }
    }

    /// The bytes to write: padded, so that a longer marker can be written over a shorter one.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a marker has string keys only");
        bytes.resize(bytes.len().max(255), b' ');
        bytes.push(b'\n');
        bytes
    }
}

impl End {
    /// The code that the marker keeps.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Used => USED,
            Self::Refused(code) => code,
            Self::Removed => REMOVED,
        }
    }
}
