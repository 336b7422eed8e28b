//! Signs a ChatGPT account in from inside the pod: runs the real `codex login --device-auth` in a private home, then
//! checks what it wrote and stores it.
//!
//! Run as `kubectl exec -it deploy/litellm -c codex-cli -- auth-login 1`.

mod abort;
mod accept;
mod args;
mod cleanup;
mod codex;
mod connection;
mod failure;
mod finished_login;
mod private_home;
mod stderr_relay;
mod stdout_relay;
mod stop;
mod text;

use std::io::Write as _;

use auth_volume::masters::Unusable;
use auth_volume::reserved_master::ReservedMaster;
use auth_volume::{Volume, clock};
use cli::exit::{Exit, Failure, OrExit as _};
use cli::log;
use durable_file::private_file::NotRead;
use records::signal::Signal;
use records::{Login, Slot, remedy};

use crate::codex::Codex;
use crate::finished_login::FinishedLogin;
use crate::private_home::PrivateHome;
use crate::stop::StopRequests;

pub use crate::args::Args;
pub use crate::stop::{Ended, Stop};

/// The name in front of every log line.
pub const COMMAND: &str = "auth-login";

/// Signs in, or ends the login that is under way.
///
/// # Errors
/// Why the slot is as it was.
pub fn run(args: &Args) -> Result<(), Ended> {
    if args.abort { abort(args) } else { sign_in(args) }
}

fn sign_in(args: &Args) -> Result<(), Ended> {
    let slot = args.slot;
    let codex = Codex::find(&args.codex_bin)?;
    let volume = Volume::at(args.volume.directories())?;
    let mut stops = StopRequests::new(&volume, slot).or_exit(Exit::Failed)?;
    let sole_login = volume.lock_login(slot)?;
    // A request that was meant for an earlier login.
    let _ = volume.take_login_abort(slot);
    check_slot(&volume, slot)?;

    let mut home = PrivateHome::new(&volume, &sole_login).or_exit(Exit::CannotWrite)?;
    let room = reserve_room(&volume, slot)?;
    home.include(&room).or_exit(Exit::Failed)?;
    codex.login(slot, &home, &args.for_codex, &mut stops)?;

    let written = home.auth_json().or_exit(Exit::Failed)?;
    let finished = FinishedLogin { slot, written: &written, replace: args.replace, room: Some(room) };
    let login = finished.store(&volume, &mut stops)?;
    if let Err(e) = volume.wake(&Signal::signed_in(&login.account, clock::now())) {
        log::line(COMMAND, format_args!("the rotator was not woken, and acts at its next tick: {e}"));
    }
    if let Err(e) = home.wipe() {
        log::line(COMMAND, format_args!("the login is stored, but its private copy could not be wiped: {e}"));
    }
    say(&format!("{slot}: {}", describe(&login)));
    Ok(())
}

fn abort(args: &Args) -> Result<(), Ended> {
    say(&abort::abort(&Volume::at(args.volume.directories())?, args.slot)?);
    Ok(())
}

/// Refuses a slot in which something lies that a login could not replace in the end.
fn check_slot(volume: &Volume, slot: Slot) -> Result<(), Failure> {
    match volume.master(slot).login {
        Err(Unusable::File(why)) if !matches!(why, NotRead::Missing) => {
            let path = volume.layout().master(slot);
            let error = format!("{}: {why}: run {} first", path.display(), remedy::remove(slot));
            Err(Failure::new(Exit::BadConfig, error))
        }
        _ => Ok(()),
    }
}

/// Reserves the room on the volume that the login will need, because the disk may fill up while the person is at the
/// browser. The lock is free meanwhile.
fn reserve_room(volume: &Volume, slot: Slot) -> Result<ReservedMaster, Failure> {
    let locked = volume.lock()?;
    locked.prove_writable()?;
    Ok(locked.reserve(slot)?)
}

/// Prints the outcome. The login is stored even if it cannot be printed.
fn say(outcome: &str) {
    let mut stdout = std::io::stdout();
    if let Err(e) = writeln!(stdout, "{outcome}").and_then(|()| stdout.flush()) {
        log::line(COMMAND, format_args!("standard output cannot be written ({e}): {outcome}"));
    }
}

fn describe(login: &Login) -> String {
    let who = login.email.as_deref().unwrap_or(&login.account.account_id);
    let plan = login.plan.as_deref().unwrap_or("unknown");
    let (account, until) = (&login.account.account_id, login.expires());
    records::text::line(&format!("signed in as {who} (account {account}, plan {plan}, {until})"))
}
