//! `auth-login` from the outside; the logins around the real codex are in the workspace's `tests/sign_in.rs`.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod cli;
mod logins;
