//! A slot as it may be chosen: its login, or what is wrong with its file.

use std::fmt;

use records::grant::GrantStatus;
use records::{Login, Slot, remedy};
use serde::{Deserialize, Serialize};

/// A slot that may be chosen.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub slot: Slot,
    pub login: Result<Login, Broken>,
    pub grant: GrantStatus,
    /// Whether the login is in a file, and not only in environment variables.
    pub is_stored: bool,
}

/// What is wrong with a slot's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    pub why: String,
    /// It is no regular file that can be read: a login could not replace it, so it must be removed first.
    pub is_in_the_way: bool,
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Self { why, is_in_the_way: false }
    }
}

impl Broken {
    /// The remedy: a new login, unless it could not replace what is there.
    #[must_use]
    pub fn remedy(&self, slot: Slot) -> String {
        if self.is_in_the_way { remedy::remove(slot) } else { remedy::login(slot) }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
