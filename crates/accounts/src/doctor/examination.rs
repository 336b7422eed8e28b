//! What only the doctor looks at. Whether it is a finding is judged elsewhere.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auth_volume::Volume;
use auth_volume::directory_check::{DirectoryCheck, Fault};
use issuer::provider::Provider;
use judgement::pool::Pool;
use overview::bounds::ROOM;
use overview::observed::{Directory, DirectoryFault, Examined};
use overview::{Overview, SlotState};
use records::probe::ProbeResult;
use records::{Login, Slot, Timestamp};
use rotation::reading;

use crate::args::DoctorArgs;

/// How long another writer may hold the lock before that is a finding.
const LOCK_WAIT: Duration = Duration::from_secs(3);

pub(crate) fn examine(volume: &Volume, overview: &Overview, args: &DoctorArgs, now: Timestamp) -> Examined {
    let examined = Examined {
        directories: Vec::new(),
        not_tried: None,
        from_the_future: from_the_future(volume, now),
        out_of_reach: Vec::new(),
        codex: codex(&args.codex_bin),
        probed: if args.probe { probed(volume, overview, now) } else { Vec::new() },
    };
    match volume.lock_within(LOCK_WAIT) {
        Ok(locked) => Examined {
            out_of_reach: volume.grants().map(|grants| grants.out_of_reach(&locked, now)).unwrap_or_default(),
            directories: locked
                .check_directories()
                .into_iter()
                .map(|(path, trial)| tried(path, &trial))
                .collect(),
            ..examined
        },
        Err(e) => Examined {
            directories: volume.layout().directories().map(untried).collect(),
            not_tried: Some(e.to_string()),
            ..examined
        },
    }
}

/// A directory, and the outcome of the trial in it.
pub(crate) fn tried(path: PathBuf, trial: &DirectoryCheck) -> Directory {
    let (bytes, files) = trial.room.unwrap_or((u64::MAX, None));
    Directory {
        is_projected: is_projected(&path),
        path,
        faults: trial.faults.iter().map(fault).collect(),
        has_room: bytes >= ROOM && files != Some(0),
        is_tried: true,
    }
}

fn untried(path: &Path) -> Directory {
    let is_projected = is_projected(path);
    Directory { path: path.to_owned(), is_projected, faults: Vec::new(), has_room: true, is_tried: false }
}

fn fault(fault: &Fault) -> DirectoryFault {
    let is_of_its_kind = matches!(fault, Fault::Sync(_) | Fault::NoLocks | Fault::NoModes(_));
    DirectoryFault { message: fault.to_string(), is_of_its_kind }
}

/// A variable that is set to nothing counts as not set.
fn codex(program: &OsStr) -> Result<PathBuf, String> {
    let program = if program.is_empty() { OsStr::new("codex") } else { program };
    which::which(program).map_err(|_| program.to_string_lossy().into_owned())
}

/// The kubelet replaces the content of a Secret or `ConfigMap` through a link of this name.
fn is_projected(directory: &Path) -> bool {
    directory.join("..data").symlink_metadata().is_ok()
}

fn from_the_future(volume: &Volume, now: Timestamp) -> Vec<(PathBuf, Timestamp)> {
    let layout = volume.layout();
    let slots = layout.slots().unwrap_or_default().into_iter().map(|slot| layout.master(slot));
    let files = slots.chain([layout.state(), layout.published(), layout.signal(), layout.last_pass()]);
    let written = files.filter_map(|path| {
        let time = path.symlink_metadata().ok()?.modified().ok()?;
        Some((path, Timestamp::from_system_time(time)))
    });
    written.filter(|(_, time)| *time > now).collect()
}

/// Asks the provider once about each access token that may still be good.
fn probed(volume: &Volume, overview: &Overview, now: Timestamp) -> Vec<(Slot, ProbeResult)> {
    let Ok(reading) = reading::read(volume, now) else { return Vec::new() };
    let live = live(&reading.pool, overview, now);
    match Provider::from_environment() {
        Ok(provider) => live.map(|(slot, login)| (slot, provider.probe(login, now))).collect(),
        Err(e) => live.map(|(slot, _)| (slot, ProbeResult::Unknown(format!("{e:#}")))).collect(),
    }
}

fn live<'a>(
    pool: &'a Pool,
    overview: &'a Overview,
    now: Timestamp,
) -> impl Iterator<Item = (Slot, &'a Login)> {
    let is_asked = move |slot: Slot| {
        let mut rows = overview.rows.iter().filter(|row| row.slot == slot);
        rows.any(|row| !matches!(row.state, SlotState::Duplicate(_) | SlotState::Unusable(_)))
    };
    pool.slots.iter().filter_map(move |candidate| {
        let login = candidate.login.as_ref().ok().filter(|login| login.is_live(now))?;
        is_asked(candidate.slot).then_some((candidate.slot, login))
    })
}
