//! A slot as it may be chosen: its login, or what is wrong with its file.

use std::fmt;

use records::grant::GrantStatus;
use records::{Login, Slot, remedy};

/// A slot that may be chosen.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where.
    pub slot: Slot,
    /// Its login, or what is wrong with it.
    pub login: Result<Login, Broken>,
    /// What is known of its grant.
    pub grant: GrantStatus,
    /// Whether it has a file, and not only environment variables.
    pub is_stored: bool,
}

/// What is wrong with a slot's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// In words.
    pub why: String,
    /// It is no regular file that can be read, so that a login could not replace it: it must be removed first.
    pub is_in_the_way: bool,
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Self { why, is_in_the_way: false }
    }
}

impl Broken {
    /// What mends the slot: a new login, unless what lies there could not be replaced by it.
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
