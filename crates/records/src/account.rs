//! Who an account is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::printable;

/// An account: the workspace's `account_id` **and** the user in it.
///
/// Both, because two people in one workspace share its `account_id`, and one person in two workspaces has one
/// user id. It is never an index: another login may come into a slot, and the account stays who it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId {
    /// The value of the `ChatGPT-Account-Id` header.
    pub account_id: String,
    /// The user, where the tokens name one: a user id, else the subject, else the email address in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// Printable, because people read it; programs take the fields.
impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.account_id))?;
        self.user_id.as_ref().map_or(Ok(()), |user| write!(f, "/{}", printable(user)))
    }
}
