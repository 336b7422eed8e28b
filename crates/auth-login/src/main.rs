//! Signs a ChatGPT account in from inside the pod: the real `codex login --device-auth`, in a private home, and
//! then the check and the safe keeping of what it wrote.
//!
//! Run as `kubectl exec -it deploy/litellm -c codex-cli -- auth-login 1`.

mod accept;
mod args;
mod codex;
mod keeper;
mod private_home;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use auth_volume::exit::{Exit, Failure, OrExit as _, finish};
use auth_volume::private_file::NotRead;
use auth_volume::signal::Signal;
use auth_volume::volume::{Remembered, Unusable};
use auth_volume::{Locked, Login, Slot, Timestamp, Volume, log, secret};
use clap::Parser as _;

use crate::accept::accept;
use crate::args::Args;
use crate::codex::{Codex, Ended, StopSignals};
use crate::private_home::PrivateHome;

/// How long a finished login waits for another writer: longer than any refresh takes.
const PATIENCE: Duration = Duration::from_mins(5);

/// The name in front of every log line.
const COMMAND: &str = "auth-login";

fn main() -> ExitCode {
    secret::keep_out_of_core_dumps();
    let args = Args::parse();
    match run(&args) {
        // As a shell says that a signal ended a command.
        Ok(Ended::Stopped(signal)) => ExitCode::from(128 + signal),
        Ok(Ended::SignedIn) => ExitCode::SUCCESS,
        Err(failure) => finish(COMMAND, Err(failure)),
    }
}

fn run(args: &Args) -> Result<Ended, Failure> {
    let slot = args.slot;
    let mut stop = StopSignals::listen().or_exit(Exit::Failed)?;

    let codex = Codex::find(&args.codex_bin)?;
    let volume = args.volume.open()?;
    let sole_login = volume.lock_login(slot)?;
    volume.lock()?.prove_writable()?;
    prove_free(&volume, slot)?;

    let home = PrivateHome::new(&volume, &sole_login).or_exit(Exit::CannotWrite)?;
    if let Ended::Stopped(signal) = codex.login(slot, &home, &args.for_codex, &mut stop)? {
        log::line(COMMAND, format_args!("stopped: {slot} is as it was"));
        return Ok(Ended::Stopped(signal));
    }
    let written = home.auth_json().or_exit(Exit::Failed)?;

    // The person has done their part: a rotator that is waiting for an answer must not cost them the login.
    let locked = volume.lock_within(PATIENCE)?;
    let accepted = accept(&written, slot, &volume.masters()?, args.replace, Timestamp::now())?;
    locked.install(slot, &written)?;
    for other in accepted.superseded {
        locked.remove(other)?;
        log::line(COMMAND, format_args!("{other} held the same account and was removed"));
    }
    forgive(&volume, &locked, &accepted.login);
    drop(locked);
    home.wipe()
        .context("the login is stored, but its private copy could not be wiped")
        .or_exit(Exit::Failed)?;

    println!("{slot}: {}", describe(&accepted.login));
    if let Err(e) = volume.wake(&Signal::signed_in(&accepted.login.account, Timestamp::now())) {
        log::line(COMMAND, format_args!("the rotator was not woken, and will look at its next tick: {e}"));
    }
    Ok(Ended::SignedIn)
}

/// A new login ends what was held against the account: a cooldown, a dead grant. That it is stored counts more
/// than that this can be written down.
fn forgive(volume: &Volume, locked: &Locked<'_>, login: &Login) {
    let forgiven = volume.remembered().and_then(|Remembered { mut state, predecessor, .. }| {
        let before = state.clone();
        state.forgive(&login.account);
        if predecessor.is_some() || state == before { Ok(()) } else { locked.remember(&state) }
    });
    if let Err(e) = forgiven {
        log::line(COMMAND, format_args!("the login is stored, but the rotator's state was not cleared: {e}"));
    }
}

/// A slot that is no file could not take the login in the end.
fn prove_free(volume: &Volume, slot: Slot) -> Result<(), Failure> {
    match volume.master(slot).login {
        Err(Unusable::File(why)) if !matches!(why, NotRead::Missing) => {
            let path = volume.layout().master(slot);
            Err(Failure::new(Exit::BadConfig, format!("{}: {why}: move it away first", path.display())))
        }
        _ => Ok(()),
    }
}

/// Who signed in, with which plan, until when.
fn describe(login: &Login) -> String {
    let who = login.email.as_deref().unwrap_or(&login.account.account_id);
    let plan = login.plan.as_deref().unwrap_or("unknown");
    format!("signed in as {who} (account {}, plan {plan}, {})", login.account.account_id, login.expires())
}
