//! Each state in which a finding names a command: how it is made, and what is expected of the command.

use std::fs::{create_dir, create_dir_all};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use fixture::ANN;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use overview::finding::Id;
use stand_in::OauthFault;

use super::patient::Patient;
use super::{logins, rotator, slots};

/// A state that a finding names a command for.
pub(crate) struct State {
    pub(crate) id: Id,
    pub(crate) how: &'static str,
    pub(crate) make: fn(&mut Patient),
    pub(crate) after: After,
}

/// What is expected of the command.
pub(crate) enum After {
    /// The finding is gone.
    Gone,
    /// It is gone, and another one takes its place, whose own command ends that.
    Becomes(Id),
    /// The command explains: of each slot it says why it does not serve, and what to type.
    Explained,
}

use After::{Becomes, Explained, Gone};

const fn state(id: Id, how: &'static str, make: fn(&mut Patient), after: After) -> State {
    State { id, how, make, after }
}

/// All of them.
pub(crate) const STATES: &[State] = &[
    state(Id::NoLogin, "an empty volume", |it| it.openai.approve_next(ANN), Gone),
    state(Id::PoolExhausted, "the only access token has ended, and can be refreshed", logins::expired, Gone),
    state(Id::PoolExhausted, "one slot of each kind that cannot serve", logins::exhausted, Explained),
    state(Id::PoolExhausted, "the only account is parked", logins::parked_alone, Explained),
    state(Id::PoolCapped, "the only account is capped", logins::capped, Gone),
    state(Id::PoolRunsOut, "the only account is nearly used up", logins::nearly_used_up, Gone),
    state(Id::NeedsLogin, "the issuer ended it, and it still serves", logins::ended_and_serving, Gone),
    state(Id::NeedsLogin, "the issuer ended it, and its access token, too", logins::ended, Gone),
    state(Id::NeedsLogin, "expired, and without a refresh token", logins::without_refresh_token, Gone),
    state(Id::NeedsLogin, "removed, and back from a backup", logins::back_from_a_backup, Gone),
    state(
        Id::RefreshUnanswered,
        "the request never arrived",
        |it| logins::refresh_meets(it, OauthFault::CloseBeforeAnswer),
        Gone,
    ),
    state(Id::RefreshUnanswered, "the answer was lost", logins::answer_lost, Becomes(Id::NeedsLogin)),
    state(Id::RefreshRefused, "by a code that ends nothing", logins::refused_for_two_days, Gone),
    state(Id::SlotBroken, "half a file", |it| slots::broken(it, "{\"tokens\": {\"access_tok"), Gone),
    state(Id::SlotBroken, "an empty file", |it| slots::broken(it, ""), Gone),
    state(
        Id::SlotBroken,
        "an API key and no login",
        |it| slots::broken(it, r#"{"OPENAI_API_KEY": "sk-x"}"#),
        Gone,
    ),
    state(Id::SlotBroken, "a variable that holds a whole auth.json", slots::variable_broken, Gone),
    state(Id::SlotBlocked, "a link to a login", slots::linked, Gone),
    state(
        Id::SlotBlocked,
        "a link to nowhere",
        |it| symlink("/nonexistent", it.file("auth-2.json")).unwrap(),
        Gone,
    ),
    state(Id::SlotBlocked, "an empty directory", |it| create_dir(it.file("auth-2.json")).unwrap(), Gone),
    state(
        Id::SlotBlocked,
        "a directory with a file in it",
        |it| create_dir_all(it.file("auth-2.json/x")).unwrap(),
        Gone,
    ),
    state(Id::SlotBlocked, "a pipe", |it| mkfifo(&it.file("auth-2.json"), Mode::S_IRWXU).unwrap(), Gone),
    state(Id::SlotBlocked, "a socket", |it| drop(UnixListener::bind(it.file("auth-2.json")).unwrap()), Gone),
    state(Id::SlotBlocked, "a file of 2 MiB", |it| it.write("auth-2.json", vec![b' '; 2 << 20]), Gone),
    state(Id::OtherAccount, "and its owner signs in", |it| logins::other_account(it, ANN), Gone),
    state(
        Id::OtherAccount,
        "and the other one signs in",
        |it| logins::other_account(it, "eve@example.test"),
        Gone,
    ),
    state(Id::Duplicate, "one account in two slots", logins::twice, Gone),
    state(Id::FileTooOpen, "a login of mode 644", slots::too_open, Gone),
    state(Id::FileTooOpen, "half a file of mode 644", slots::too_open_and_broken, Gone),
    state(
        Id::StateBroken,
        "half a file",
        |it| it.write("rotator_state.json", "{\"version\": 1, \"acc"),
        Gone,
    ),
    state(
        Id::StateBroken,
        "a directory, beside a state that was broken before",
        rotator::state_directory,
        Gone,
    ),
    state(Id::StateBroken, "a link", |it| symlink("elsewhere", it.file("rotator_state.json")).unwrap(), Gone),
    state(Id::PinLost, "the pinned login was deleted", rotator::pin_lost, Gone),
    state(
        Id::SignalWaits,
        "left by the callback",
        |it| rotator::waiting(it, logins::good, "rotate-now"),
        Gone,
    ),
    state(
        Id::SignalWaits,
        "taken by a pass that died",
        |it| rotator::waiting(it, logins::good, ".rotate-now.taken-1-1"),
        Gone,
    ),
    state(
        Id::SignalWaits,
        "and no account can serve",
        |it| rotator::waiting(it, logins::without_refresh_token, "rotate-now"),
        Gone,
    ),
    state(Id::PassLate, "the rotator has stopped", |it| rotator::late(it, ".last-pass"), Gone),
    state(Id::PassLate, "the rotator never ran", rotator::never_ran, Gone),
    state(Id::RecordNotToServe, "it was parked by another hand", rotator::served_parked, Gone),
    state(Id::RecordNotToServe, "it belongs to another account now", rotator::served_other_account, Gone),
    state(
        Id::RecordUnknown,
        "its login was deleted, and another one can serve",
        |it| rotator::unknown(it, logins::good),
        Gone,
    ),
    state(
        Id::RecordUnknown,
        "its login was deleted, and no other one can serve",
        |it| rotator::unknown(it, logins::without_refresh_token),
        Explained,
    ),
    state(
        Id::RecordPlaceholder,
        "and an account can serve",
        |it| rotator::placeholder(it, logins::good),
        Gone,
    ),
    state(
        Id::RecordPlaceholder,
        "and the only account is capped",
        |it| rotator::placeholder(it, logins::capped),
        Gone,
    ),
    state(
        Id::RecordPlaceholder,
        "and the only account is to be refreshed",
        |it| rotator::placeholder(it, logins::expired),
        Gone,
    ),
    state(
        Id::RecordPlaceholder,
        "and no account can serve",
        |it| rotator::placeholder(it, logins::without_refresh_token),
        Explained,
    ),
    state(Id::RecordMissing, "before the first login", |_| {}, Gone),
    state(Id::RecordMissing, "with a login", logins::good, Gone),
    state(Id::RecordMissing, "and no account can serve", logins::without_refresh_token, Gone),
    state(
        Id::RecordForeign,
        "half a file",
        |it| rotator::foreign(it, |it| it.write("auth.json", "{\"access")),
        Gone,
    ),
    state(
        Id::RecordForeign,
        "codex's own file of an account that no slot has",
        |it| rotator::foreign(it, rotator::codexs_own),
        Gone,
    ),
    state(
        Id::RecordForeign,
        "a directory",
        |it| rotator::foreign(it, |it| create_dir_all(it.file("auth.json/x")).unwrap()),
        Gone,
    ),
    state(
        Id::RecordForeign,
        "a link",
        |it| rotator::foreign(it, |it| symlink("auth-1.json", it.file("auth.json")).unwrap()),
        Gone,
    ),
    state(Id::RecordForeign, "and no account can serve", rotator::foreign_and_dead, Gone),
    state(Id::TokenRefused, "a token that the provider does not know", logins::token_unknown, Gone),
];
