//! What is known of a grant: whether it may be sent to the issuer, has been sent, or must never be sent again.

use serde::{Deserialize, Serialize};

use crate::{Secret, Slot, Timestamp};

/// The code of a grant that was used up.
pub const USED: &str = "refresh_token_used";

/// The code of a grant whose login an operator removed.
pub const REMOVED: &str = "removed";

/// A login's grant, identified by a fingerprint of its refresh token, or of its access token if it has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grant(pub(crate) String);

/// What is known of one grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GrantStatus {
    /// Nothing is known against it: it may be sent.
    #[default]
    Good,
    /// It has been sent, and a process waits for the issuer's answer.
    WithIssuer(Marker),
    /// It has been sent, and the issuer's answer is not known.
    Unanswered(Marker),
    /// It will never work again.
    Ended(Marker),
}

impl GrantStatus {
    /// The marker of a request whose answer is not known, or not yet.
    #[must_use]
    pub fn sent(&self) -> Option<&Marker> {
        match self {
            Self::WithIssuer(marker) | Self::Unanswered(marker) => Some(marker),
            Self::Good | Self::Ended(_) => None,
        }
    }
}

/// The content of a marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The slot whose login the grant belonged to.
    pub slot: Slot,
    /// When the grant was sent, or when it ended.
    pub since: Timestamp,
    /// Why the grant ended, if it has: the issuer's code, [`USED`] or [`REMOVED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Which boot of which machine wrote this marker.
    #[serde(default)]
    pub node: String,
    /// The lock that its writer held, by device and inode. If it is another than ours, the two do not exclude each other.
    #[serde(default)]
    pub lock: String,
}

/// What ended a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantEnd {
    /// The issuer exchanged it for another one, or a new login took its place.
    Used,
    /// The issuer refused it for good, by this code.
    Refused(String),
    /// An operator removed its login.
    Removed,
}

impl Grant {
    /// The grant that this token represents.
    #[must_use]
    pub fn of(token: &Secret) -> Self {
        Self(token.fingerprint())
    }

    /// The fingerprint, which may be shown and may be part of a file's name.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0
    }
}

impl Marker {
    /// Stands for a marker that cannot be read, and for what a state says that was written before grants had markers.
    #[must_use]
    pub fn unreadable(now: Timestamp) -> Self {
        Self { slot: Slot::FIRST, since: now, code: None, node: String::new(), lock: String::new() }
    }

    /// The bytes to write: padded, so that a later one, with a code, can be written over them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a marker has string keys only");
        bytes.resize(bytes.len().max(255), b' ');
        bytes.push(b'\n');
        bytes
    }
}

impl GrantEnd {
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
