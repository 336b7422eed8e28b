//! Who an account is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::printable;

/// An account: the workspace's `account_id` **and** the user in it.
///
/// Both, because two people of one workspace share its `account_id`, and one person in two workspaces has one
/// user id. Never an index: slots may be refilled, the account stays who it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId {
    /// The value of the `ChatGPT-Account-Id` header.
    pub account_id: String,
    /// The user, where the tokens say who it is: a user id, else the subject, else the address in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// For people, and so printable; programs take the fields.
impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.account_id))?;
        self.user_id.as_ref().map_or(Ok(()), |user| write!(f, "/{}", printable(user)))
    }
}
