//! Gathering: everything that the doctor knows of the pool, and nothing that it thinks of it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auth_volume::masters::Master;
use auth_volume::trial::Trial;
use auth_volume::writers::Writer;
use auth_volume::{Volume, VolumeError, almost};
use issuer::provider::{ProbeResult, Provider};
use judgement::pool::Pool;
use overview::{Overview, SlotState, overview};
use records::grant::Marker;
use records::heartbeat::Heartbeat;
use records::{Slot, Timestamp};
use rotation::reading;

use crate::args::DoctorArgs;
use crate::operator::Operator;

/// How long the doctor waits for another writer.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    pub(crate) directories: Vec<Directory>,
    /// Why the volume could not be tried out.
    pub(crate) not_tried: Option<String>,
    /// What there is to see, or why it cannot be read.
    pub(crate) overview: Result<Overview, VolumeError>,
    /// What the state's file says of itself, if it is none of ours.
    pub(crate) state_note: Option<String>,
    pub(crate) slots: Vec<SlotFile>,
    /// Files that look like logins, and are in no slot.
    pub(crate) almost_slots: Vec<String>,
    /// Files that were written later than now.
    pub(crate) from_the_future: Vec<(PathBuf, Timestamp)>,
    /// When the oldest signal was left that nobody has taken.
    pub(crate) waiting_since: Option<Timestamp>,
    /// When the rotator last ended a pass.
    pub(crate) last_pass: Option<Timestamp>,
    /// How often it does.
    pub(crate) interval: Duration,
    /// Who makes the passes.
    pub(crate) writers: Vec<Writer>,
    /// Refreshes under way whose makers hold another lock than ours.
    pub(crate) out_of_reach: Vec<Marker>,
    pub(crate) callback: Option<Heartbeat>,
    /// Where codex is, or the name that was looked for.
    pub(crate) codex: Result<PathBuf, String>,
    /// What the provider says of each account; empty unless it was asked.
    pub(crate) probed: Vec<(Slot, ProbeResult)>,
}

#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    /// It is a Secret or a `ConfigMap`, which the kubelet replaces.
    pub(crate) is_projected: bool,
    pub(crate) trial: Option<Trial>,
}

/// What is to be known of a slot's file beside its login.
#[derive(Debug)]
pub(crate) struct SlotFile {
    pub(crate) slot: Slot,
    pub(crate) path: PathBuf,
    pub(crate) too_open: bool,
    /// When its access token was made.
    pub(crate) issued: Option<Timestamp>,
    /// The subscription, as its token says it.
    pub(crate) plan: Option<String>,
}

pub(crate) fn gather(operator: &Operator<'_>, args: &DoctorArgs) -> Facts {
    let Operator { volume, now, .. } = *operator;
    let Tried { mut directories, hindrance: not_tried, out_of_reach } = tried(volume, now);
    if directories.is_empty() {
        let untried =
            |path: &Path| Directory { path: path.to_owned(), is_projected: is_projected(path), trial: None };
        directories = volume.layout().directories().map(untried).collect();
    }
    let reading = reading::read(volume, now);
    let state_note = reading.as_ref().ok().and_then(|_| volume.remembered().ok()?.note);
    let view = |pool: &Pool| overview(pool, operator.options.refresh_before, operator.naming, now);
    let probed = match &reading {
        Ok(reading) if args.probe => probed(&reading.pool, &view(&reading.pool), now),
        _ => Vec::new(),
    };
    let signals = volume.signals().unwrap_or_default();
    Facts {
        now,
        directories,
        not_tried,
        overview: reading.map(|reading| view(&reading.pool)),
        state_note,
        slots: slot_files(volume),
        almost_slots: almost::almost_slots(volume.layout().auth()).unwrap_or_default(),
        from_the_future: from_the_future(volume, now),
        waiting_since: signals.iter().map(|taken| taken.left_at).min(),
        last_pass: volume.last_pass(),
        interval: args.interval.unwrap_or(DoctorArgs::EVERY_HALF_HOUR),
        writers: volume.writers(),
        out_of_reach,
        callback: volume.callback(),
        codex: codex(&args.codex_bin),
        probed,
    }
}

/// What was found out under the lock.
#[derive(Default)]
struct Tried {
    directories: Vec<Directory>,
    /// Why nothing was.
    hindrance: Option<String>,
    out_of_reach: Vec<Marker>,
}

fn tried(volume: &Volume, now: Timestamp) -> Tried {
    match volume.lock_within(PATIENCE) {
        Ok(locked) => {
            let out_of_reach = volume.grants().map(|grants| grants.out_of_reach(&locked, now));
            let tried = locked.try_out().into_iter().map(|(path, trial)| Directory {
                is_projected: is_projected(&path),
                path,
                trial: Some(trial),
            });
            let out_of_reach = out_of_reach.unwrap_or_default();
            Tried { directories: tried.collect(), hindrance: None, out_of_reach }
        }
        Err(e) => Tried { hindrance: Some(e.to_string()), ..Tried::default() },
    }
}

/// A variable that is set to nothing counts as not set.
fn codex(program: &OsStr) -> Result<PathBuf, String> {
    let program = if program.is_empty() { OsStr::new("codex") } else { program };
    which::which(program).map_err(|_| program.to_string_lossy().into_owned())
}

/// The kubelet swaps the content of such a volume by a link of this name.
fn is_projected(directory: &Path) -> bool {
    directory.join("..data").symlink_metadata().is_ok()
}

fn slot_files(volume: &Volume) -> Vec<SlotFile> {
    let masters = volume.masters().unwrap_or_default().into_iter();
    let file = |master: Master| SlotFile {
        slot: master.slot,
        path: volume.layout().master(master.slot),
        issued: master.login.as_ref().ok().and_then(|login| login.issued),
        plan: master.login.as_ref().ok().and_then(|login| login.plan.clone()),
        too_open: master.too_open,
    };
    masters.map(file).collect()
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

/// Asks about each access token that can still be good, once.
fn probed(pool: &Pool, overview: &Overview, now: Timestamp) -> Vec<(Slot, ProbeResult)> {
    let is_asked = |slot: Slot| {
        let mut rows = overview.rows.iter().filter(|row| row.slot == slot);
        rows.any(|row| !matches!(row.state, SlotState::Duplicate(_) | SlotState::Unusable(_)))
    };
    let live = pool.slots.iter().filter_map(|candidate| {
        let login = candidate.login.as_ref().ok().filter(|login| login.is_live(now))?;
        is_asked(candidate.slot).then_some((candidate.slot, login))
    });
    match Provider::from_environment() {
        Ok(provider) => live.map(|(slot, login)| (slot, provider.standing(login, now))).collect(),
        Err(e) => live.map(|(slot, _)| (slot, ProbeResult::Unknown(format!("{e:#}")))).collect(),
    }
}
