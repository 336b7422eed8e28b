//! Mirrors the records of the lanes into a Secret, from which LiteLLM's replicas read them.
//!
//! One run makes the Secret what it should be, and ends: `idle` runs it when a record has changed, and each minute, so that
//! it needs no watch, no connection that stays, and no retry of its own. Each run reads the pod's token for the API anew,
//! because Kubernetes replaces it.

mod args;
mod generation_file;

use std::collections::BTreeMap;

use auth_volume::{Volume, clock, lock};
use cli::exit::{Exit, Failure, OrExit as _};
use cli::log;
use judgement::mirror::{Generation, Mirrored, Step, plan};
use lanes_secret::{Api, ApiError, content};
use records::mirroring::Mirroring;
use records::published::Exported;
use records::{Lane, remedy};

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "lane-mirror";

/// How many steps one run takes at most. Two are enough unless another writer changes the Secret.
const MOST_STEPS: usize = 8;

/// Makes the Secret what it should be, and leaves what came of it for those who look at the accounts.
///
/// # Errors
/// The volume or the Secret cannot be read or written, or the Secret has later records than the volume.
pub fn run(args: &Args) -> Result<(), Failure> {
    let volume = Volume::at(args.volume.directories())?;
    let path = volume.layout().mirror_lock();
    let Some(_lock) = lock::exclusive(&path)? else {
        return Err(Failure::new(Exit::TryAgain, "another lane-mirror is at work on this volume"));
    };
    let outcome = if args.check { check(args, &volume) } else { mirror(args, &volume) };
    let (before, now) = (volume.mirroring(), clock::now());
    let mirroring = match &outcome {
        Ok(()) if args.check => Mirroring::awaited(before, now),
        Ok(()) => Mirroring::after(before, None, now),
        Err(failure) => Mirroring::after(before, Some(format!("{:#}", failure.error)), now),
    };
    if let Err(e) = volume.keep_mirroring(&mirroring) {
        log::line(COMMAND, e);
    }
    outcome
}

fn mirror(args: &Args, volume: &Volume) -> Result<(), Failure> {
    let api = Api::of_pod(&args.secret.service_account, &args.secret.name)?;
    for _ in 0..MOST_STEPS {
        let object = api.get()?;
        let there = content::read(&object).or_exit(Exit::BadConfig)?;
        match plan(&lanes(volume)?, generation_file::read(volume.layout())?, there.as_ref()) {
            Step::Nothing if args.take_over => return Ok(volume.clear_restored()?),
            Step::Nothing => return Ok(()),
            Step::Raise(generation) => generation_file::store(volume.layout(), generation)?,
            Step::Patch(mirrored) => match api.apply(&content::apply(&object, &mirrored, clock::now())) {
                // Another writer was faster: what it wrote is read now.
                Err(ApiError::Conflict) => {}
                applied => {
                    applied?;
                    log::line(COMMAND, said(&args.secret.name, &mirrored));
                }
            },
            Step::Stop { there } if args.take_over => generation_file::store(volume.layout(), there.next())?,
            Step::Stop { there } => {
                volume.mark_restored()?;
                return Err(Failure::new(Exit::BadConfig, is_ahead(&args.secret.name, there)));
            }
        }
    }
    Err(Failure::new(
        Exit::TryAgain,
        format!("the Secret {} is being changed by another writer all the time", args.secret.name),
    ))
}

/// Marks the volume if the Secret has later records. Before the first pass on it, so that no refresh token is sent that may
/// have been used.
fn check(args: &Args, volume: &Volume) -> Result<(), Failure> {
    let object = match Api::of_pod(&args.secret.service_account, &args.secret.name)?.get() {
        Err(ApiError::NoSecret(_)) => return Ok(()),
        object => object?,
    };
    let there = content::read(&object).or_exit(Exit::BadConfig)?;
    let generation = generation_file::read(volume.layout())?;
    if let Some(there) = there.filter(|there| there.is_ahead_of(generation)) {
        volume.mark_restored()?;
        log::line(COMMAND, is_ahead(&args.secret.name, there.generation));
    }
    Ok(())
}

fn is_ahead(secret: &str, there: Generation) -> String {
    format!(
        "the Secret {secret} has generation {} of the records, which is later than this volume's: was the volume restored \
         from a backup? Sign in again what accounts says, then run {}",
        there.number(),
        remedy::TAKE_OVER
    )
}

/// The records of the lanes. With one lane there is only `auth.json`.
fn lanes(volume: &Volume) -> Result<BTreeMap<Lane, Exported>, Failure> {
    let record = |lane, content: Vec<u8>| Exported::of(&content).map(|record| (lane, record));
    let files = volume.lane_files()?;
    let lanes: Option<BTreeMap<_, _>> = if files.is_empty() {
        volume.published_bytes().ok().and_then(|content| record(Lane::FIRST, content)).map(|it| [it].into())
    } else {
        files.into_iter().map(|lane| record(lane, volume.lane_bytes(lane).ok()?)).collect()
    };
    lanes.ok_or_else(|| {
        Failure::new(Exit::TryAgain, "a lane has no record that LiteLLM can use: waiting for rotate-once")
    })
}

fn said(secret: &str, mirrored: &Mirrored<Exported>) -> String {
    let (count, number) = (mirrored.lanes.len(), mirrored.generation.number());
    let records = if count == 1 { "record" } else { "records" };
    format!("the Secret {secret} has {count} {records}, generation {number}")
}
