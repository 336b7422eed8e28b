//! The audit: what operators did to the accounts, one line of JSON for each change, in a file of bounded size.

use serde::{Serialize, Serializer};

use crate::text::printable;
use crate::{AccountId, Slot, Timestamp};

/// How many bytes the file may have: some thousand lines. The oldest lines go first.
pub const LARGEST: usize = 256 << 10;

/// One change of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub what: AuditAction,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    #[serde(flatten, skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub account: Option<AccountId>,
    /// Until when an account is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The operator's reason, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub by: Actor,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    Parked,
    /// A park or a cooldown was ended.
    Unparked,
    Pinned,
    Unpinned,
    /// The account was chosen by hand.
    Used,
    /// The login was refreshed by hand.
    Refreshed,
    /// The grant was ended at the issuer.
    Revoked,
    /// The login was removed from the volume.
    Removed,
}

/// Who made a change, as far as a process can know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    pub command: String,
    /// The user as which the command ran.
    pub uid: u32,
    /// The name that the person gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Actor {
    /// A command that runs as this user, for the person who is named.
    #[must_use]
    pub fn new(command: &str, uid: u32, name: Option<String>) -> Self {
        Self { command: command.to_owned(), uid, name: name.map(|name| printable(&name)) }
    }
}

/// People read the file, so the account is printable in it, as everywhere.
#[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
fn shown<S: Serializer>(account: &Option<AccountId>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = account.as_ref().map(|AccountId { account_id, user_id }| AccountId {
        account_id: printable(account_id),
        user_id: user_id.as_deref().map(printable),
    });
    shown.serialize(serializer)
}

/// The file's bytes with one more line at the end, without the oldest lines if it would grow beyond its bound.
#[must_use]
pub fn appended(file: &[u8], entry: &AuditEntry) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).expect("an entry has string keys only");
    line.push(b'\n');
    let room = LARGEST.saturating_sub(line.len());
    // The new line would become part of an incomplete one.
    let file = if file.is_empty() || file.ends_with(b"\n") { file.to_vec() } else { [file, b"\n"].concat() };
    let surplus = file.len().saturating_sub(room);
    let kept = match surplus {
        0 => file.as_slice(),
        _ => file[surplus - 1..].splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default(),
    };
    [kept, &line].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(why: &str) -> AuditEntry {
        AuditEntry {
            at: Timestamp::from_seconds(1_795_439_575),
            what: AuditAction::Parked,
            slot: Some(Slot::FIRST),
            account: Some(AccountId { account_id: "acct-ann".into(), user_id: None }),
            until: None,
            why: Some(why.to_owned()),
            by: Actor { command: "accounts".to_owned(), uid: 65532, name: None },
        }
    }

    #[test]
    fn a_change_is_one_line() {
        let file = appended(b"{\"half\": ", &entry("for the\nrelease"));
        assert_eq!(
            String::from_utf8(file).unwrap(),
            "{\"half\": \n{\"at\":\"2026-11-23T13:12:55.000Z\",\"what\":\"parked\",\"slot\":1,\"account_id\":\"acct-ann\",\
             \"why\":\"for the\\nrelease\",\"by\":{\"command\":\"accounts\",\"uid\":65532}}\n"
        );
    }

    #[test]
    fn the_oldest_lines_go_first_and_whole() {
        let mut file = Vec::new();
        for number in 0..3000 {
            file = appended(&file, &entry(&format!("number {number}")));
        }
        assert!(file.len() <= LARGEST && file.len() > LARGEST - 1000, "{} bytes", file.len());
        let text = String::from_utf8(file).unwrap();
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        assert!(text.ends_with('\n') && text.contains("number 2999\"") && !text.contains("number 0\""));
    }
}
